"""What pgdrill has at hand in one region: the plan, and the modules that call AWS.

One set of clients is made here for the CLI, for functions and for the lab alike; only endpoint and credentials
differ, and botocore reads those from the environment.
"""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

from pgdrill.aws import secret, sessions
from pgdrill.aws.backups import Backups
from pgdrill.aws.export_tasks import ExportTasks
from pgdrill.aws.keys import Keys
from pgdrill.aws.rds import Rds
from pgdrill.aws.snapshots import Snapshots
from pgdrill.aws.store import Store
from pgdrill.database import Address, Server
from pgdrill.errors import NotRunnable, PlanError
from pgdrill.model import Clock
from pgdrill.plan import CellPlan, DatabasePlan, Plan

# RDS's quota of calls a second is per account and region; standard mode backs off with jitter on throttles.
CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=5,
    read_timeout=30,
    user_agent_extra="pgdrill",
)
# Clients may be used by many threads, and made by one at a time.
_MAKING = Lock()


@dataclass(frozen=True)
class Cell:
    plan: Plan
    place: CellPlan
    rds: Rds
    snapshots: Snapshots
    backups: Backups
    exports: ExportTasks
    store: Store
    keys: Keys
    session: boto3.session.Session
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(
        cls, plan: Plan, place: CellPlan | None = None, session: boto3.session.Session | None = None
    ) -> "Cell":
        """Make the clients of one of the plan's two places, the primary unless told. Makes no call yet."""
        session = session or sessions.session()
        place = place or plan.primary
        region = place.region
        rds = session.client("rds", region_name=region, config=CONFIG)
        return cls(
            plan=plan,
            place=place,
            rds=Rds(rds),
            snapshots=Snapshots(rds),
            backups=Backups(rds),
            exports=ExportTasks(rds),
            store=Store(session.client("s3", region_name=region, config=CONFIG), place.evidence_bucket),
            keys=Keys(
                session.client("kms", region_name=region, config=CONFIG),
                place.mac_key,
                place.signing_key or "",
            ),
            session=session,
        )

    def client(self, service: str) -> Any:
        """Return a client of another service in this region, with the patience that all of them have."""
        made, region = self._clients, self.place.region
        with _MAKING:
            if (service, region) not in made:
                made[service, region] = self.session.client(service, region_name=region, config=CONFIG)  # type: ignore[call-overload] # the caller's choice
            return made[service, region]

    @property
    def signer(self) -> Keys | None:
        """What signs evidence in this region; None where the plan names no key for it."""
        return self.keys if self.place.signing_key else None

    def archive(self) -> Store:
        """Return the bucket that exports are written to in this region.

        Raises:
            PlanError: the plan names none.
        """
        if not self.place.archive_bucket:
            raise PlanError(
                f"the plan names no archive bucket in {self.place.region}",
                hint='set archive_bucket and export_role of this region in the plan, or exports.schedule = "off"',
            )
        return Store(self.client("s3"), self.place.archive_bucket)

    def secret(self, name: str) -> secret.Credentials:
        """Read an entry of this region that exists already."""
        elsewhere = None if self.place == self.plan.primary else self.place.region
        return secret.read(self.client("secretsmanager"), name, replica_in=elsewhere)

    def production(self, database: DatabasePlan, clock: Clock) -> Server:
        """Open production for sealing and beating, as the role of the plan's secret. Never for a drill.

        RDS is asked where it is only if the plan does not say: who beats and seals may have no way to RDS.

        Raises:
            NotRunnable: no such instance, or its secret cannot be read.
        """
        host, port = (database.host, database.port) if database.host else self._endpoint(database)
        role = self.secret(database.secret)
        address = Address(host=host, port=port, user=role.username, password=role.password, dbname="postgres")
        return Server(address, clock)

    def _endpoint(self, database: DatabasePlan) -> tuple[str, int]:
        instance = self.rds.instance(database.instance)
        if instance is None or instance.host is None or instance.port is None:
            raise NotRunnable(
                f"instance {database.instance!r} of database {database.name!r} is not there or has no endpoint",
                hint="check the database's `instance` in the plan and the region in primary.region",
            )
        return instance.host, instance.port
