"""What a deployment is told: the plan's own sections, and where. Reads Pulumi's configuration; calls nothing.

A Settings names no bucket, key or role: those are made, and their names follow from it. With what was made in both
regions it becomes the Plan that the functions read.
"""

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from pgdrill.build import zips
from pgdrill.errors import PlanError
from pgdrill.model import JSON, Model
from pgdrill.plan import (
    PREFIX,
    CellPlan,
    Checks,
    Copies,
    Cost,
    DatabasePlan,
    DrillPlan,
    Exports,
    Notify,
    Objectives,
    Place,
    Plan,
    Points,
    Stack,
    Tags,
    problems,
)
from pgdrill.planning import solver
from pgdrill.planning.obstacle import Severity
from pgdrill.sections import Section
from windows import windows

KEY = "plan"  # of Pulumi's configuration: `pgdrill:plan`


def _region(value: str) -> str:
    # ARNs are written with the partition `aws`; regions of other partitions have another.
    if not re.fullmatch(r"(?!cn-|us-gov-|us-iso)[a-z]{2}-[a-z]{4,9}-[0-9]", value):
        raise ValueError(f"{value!r} is not a region of the partition aws, such as ap-southeast-1")
    return value


def _private(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a CIDR block; write one such as 10.0.0.0/16") from error
    if network.version != 4 or not network.is_private:
        raise ValueError(f"{value!r} is not private; production is reached from networks of your own alone")
    return value


def _role(value: str) -> str:
    if not re.fullmatch(r"arn:aws:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+", value):
        raise ValueError(
            f"{value!r} is not the ARN of a role or user; write arn:aws:iam::111122223333:role/name"
        )
    return value


Region = Annotated[str, AfterValidator(_region)]
Cidr = Annotated[str, AfterValidator(_private)]
RoleArn = Annotated[str, AfterValidator(_role)]


class Network(Section):
    """A network that is there already, with an adopted database in it. Nothing is made or changed in it."""

    vpc: str
    """its id"""
    subnets: tuple[str, ...] = Field(min_length=2)
    """private subnets of two zones, with a way to Secrets Manager and S3"""
    security_group: str
    """the group that `beat` and `seal` join: it reaches 443 and the database, which admits it"""


class Where(Section):
    """A region, and where in it networks are made."""

    region: Region
    """the region's name"""
    zones: tuple[str, ...] = ()
    """two availability zones by name; left out, the first two that functions run in"""

    @model_validator(mode="after")
    def _two_zones(self) -> Self:
        apart = len(set(self.zones)) == 2 == len(self.zones)
        if self.zones and not (
            apart and all(re.fullmatch(f"{self.region}[a-z]", zone) for zone in self.zones)
        ):
            raise ValueError(
                f"zones {', '.join(self.zones)} are not two of {self.region}; write {self.region}a and {self.region}b"
            )
        return self


class Primary(Where):
    """Where production is."""

    region: Region = "ap-southeast-1"
    """the region's name"""
    network: Network | None = None
    """that of an adopted database; left out, one is made"""
    clients: tuple[Cidr, ...] = ()
    """private CIDR blocks that a created database admits, besides pgdrill's own two functions"""


class Dr(Where):
    """Where copies go."""

    region: Region = "ap-northeast-1"
    """the region's name"""


class Settings(Section):
    """All that `pulumi up` is told."""

    stack: Stack
    tags: Tags
    primary: Primary = Primary()
    dr: Dr = Dr()
    objectives: Objectives = Objectives()
    points: Points = Points()
    copies: Copies = Copies()
    exports: Exports = Exports()
    databases: tuple[DatabasePlan, ...] = Field(min_length=1, alias="database")
    drill: DrillPlan = DrillPlan()
    checks: Checks = Checks()
    notify: Notify = Notify()
    cost: Cost = Cost()
    protect: bool = False
    """Object Lock on evidence and deletion protection on a created database; neither can be taken back at once"""
    replicate_automated_backups: bool = False
    """RDS also replicates a created database's automated backups to the DR region, for `points.pitr`"""
    raise_quota: bool = True
    """ask AWS for as many manual snapshots in each region as the plan keeps, where the default is too few"""
    operators: tuple[RoleArn, ...] = ()
    """who may recover by hand: besides the functions, these may derive passwords and sign evidence"""
    platform: Literal["linux_aarch64", "host"] = "linux_aarch64"
    """what functions run on; `host` in the lab"""
    ca_bundle: str | None = None
    """a PEM file of certificate authorities to put into the functions; left out, that of RDS"""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: JSON) -> JSON:
        """Name the instances that are created; every other mistake is left to the fields' own rules."""
        if not isinstance(content, Mapping) or not isinstance(content.get("database"), list | tuple):
            return content
        suffix = content["stack"].get("suffix") if isinstance(content.get("stack"), Mapping) else None
        named = [
            {"instance": created(str(suffix), str(one.get("name"))), **one}
            if isinstance(one, Mapping) and one.get("origin") == "created"
            else one
            for one in content["database"]
        ]
        return {**content, "database": named}

    @model_validator(mode="after")
    def _whole(self) -> "Settings":
        if self.primary.region == self.dr.region:
            raise ValueError(
                f"primary and dr are both in {self.dr.region!r}; the loss of a region is what dr is for"
            )
        origins = {database.origin for database in self.databases}
        if len(origins) > 1:
            raise ValueError(
                "some databases are created and some adopted, but beat and seal run in one network;"
                " deploy the adopted ones under a suffix of their own"
            )
        if origins == {"adopted"} and self.primary.network is None:
            raise ValueError("an adopted database needs primary.network: vpc, subnets and security_group")
        if origins == {"created"} and self.primary.network is not None:
            raise ValueError("primary.network is that of an adopted database; a created one gets its own")
        for database in self.databases:
            self._complete(database)
        if self.created:
            windows(self.points, self.objectives.usable_after)
        return self

    def _complete(self, database: DatabasePlan) -> None:
        of = f"database {database.name!r}"
        if database.host is not None:
            raise ValueError(f"{of} has a host; leave it out, the deployment knows it")
        if database.origin == "adopted":
            return
        if database.instance != (name := created(self.stack.suffix, database.name)):
            raise ValueError(f"{of} is created and named {name!r}; leave its instance out")
        if database.master_secret is None:
            raise ValueError(
                f"{of} is created and needs master_secret: an existing entry with username and password"
            )

    @property
    def created(self) -> bool:
        """Whether the databases are made here; otherwise they were found, and nothing of theirs is changed."""
        return self.databases[0].origin == "created"


class Placed(Model):
    """What was made in one region, all of it known: the plan's part of it, and where databases answer."""

    cell: CellPlan
    hosts: dict[str, tuple[str, int]] = Field(default_factory=dict)


def created(suffix: str, database: str) -> str:
    """Return the identifier of the instance that is created for a database; RDS takes 63 characters."""
    return f"{PREFIX}-{suffix}-production-{database}"


def load(content: JSON) -> Settings:
    """Validate what the configuration holds.

    Raises:
        PlanError: not valid; the message names every wrong key.
    """
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise PlanError(
            f"pgdrill:{KEY} is not valid: {'; '.join(problems(error))}",
            hint="correct the keys named above; docs/deploy.md lists them all",
        ) from error


def hold(settings: Settings, now: datetime) -> None:
    """Hold the plan that would be deployed against itself and what AWS documents, as `pgdrill plan check` does.

    Raises:
        PlanError: it cannot work; the message names every key and value, the hint every remedy.
    """
    regions = (settings.primary.region, settings.dr.region)
    unknown = [] if settings.ca_bundle else [region for region in regions if not zips.covers(region)]
    if unknown:
        raise PlanError(
            f"pgdrill:{KEY} has no ca_bundle, and of {' and '.join(unknown)} no authority of RDS is shipped",
            hint="docs/decisions/0009-certificates-of-rds.md says where AWS has them; name the file in ca_bundle",
        )
    plan = plan_of(settings, *map(_stand_in, regions))
    errors = [found for found in solver.solve(plan, now) if found.severity is Severity.ERROR]
    if errors:
        raise PlanError(
            f"pgdrill:{KEY} cannot work: "
            + "; ".join(f"{one.key} = {one.value}: {one.what}" for one in errors),
            hint="; ".join(one.remedy for one in errors),
        )


def _stand_in(region: str) -> Placed:
    """Return a place before there is one; what the solver looks at is the region alone."""
    place = Place(subnet_group="-", security_groups=("-",), parameter_group="-")
    return Placed(
        cell=CellPlan(
            region=region,
            evidence_bucket="-",
            archive_bucket="-",
            export_role="-",
            mac_key="-",
            storage_key="-",
            place=place,
        )
    )


def plan_of(settings: Settings, primary: Placed, dr: Placed) -> Plan:
    """Return the plan that the functions of both cells read."""
    hosts = primary.hosts
    databases = tuple(
        database.model_copy(update={"host": hosts[database.name][0], "port": hosts[database.name][1]})
        if database.name in hosts
        else database
        for database in settings.databases
    )
    shared = {name: getattr(settings, name) for name in Plan.model_fields if name in _SHARED}
    return Plan(**shared, database=databases, primary=primary.cell, dr=dr.cell)


_SHARED = frozenset(Settings.model_fields) & frozenset(Plan.model_fields) - {"databases", "primary", "dr"}
