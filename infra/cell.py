"""One region's cell: everything that takes, keeps, copies, exports and drills there, on the ground that is made."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pulumi

import buses
import policies_of_services as services
from alarms import Alarms
from canary import Canary
from dashboard import Dashboard
from fast_path import FastPath
from functions import Zip
from ground import EXPORT_ROLE, Ground, Grounds
from lambdas import Lambdas
from machines import PUBLISH, Machines
from pgdrill.plan import Plan
from policies import Document, Scope, trust
from queues import DeadLetters
from quotas import raise_quota
from roles import Role
from schedules import Schedules, planned
from settings import Settings
from silences import Silences, ahead
from subscriptions import Subscriptions
from topics import Topics

SCHEDULER, STARTER, FORWARDER = "scheduler", "starter", "forwarder"


class Cell(pulumi.ComponentResource):
    """The attributes are what other programs and people need to know."""

    ground: Ground
    functions: dict[str, pulumi.Output[str]]
    """ARNs of the published versions"""
    machines: dict[str, pulumi.Output[str]]
    roles: dict[str, pulumi.Output[str]]
    """by function, `<machine>-machine`, or what else takes it"""
    bus: pulumi.Output[str]
    topics: Topics
    dead_letters: pulumi.Output[str]
    schedule_group: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        grounds: Grounds,
        ground: Ground,
        zips: Mapping[Zip, Path],
        now: datetime,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make it on one of the two `grounds`, of `zips` for the settings' platform, without silences over at `now`."""
        super().__init__("pgdrill:cell:Cell", name, None, opts)
        self.ground, self._settings, self._name = ground, settings, name
        self._inside = pulumi.ResourceOptions(parent=self)
        names, primary = ground.names, ground is grounds.primary
        other = grounds.dr if primary else grounds.primary
        self._scope = scope_of(settings, grounds, ground)
        self.roles = {}

        self.topics = Topics(name, settings, names, ground.keys.messages, opts=self._inside)
        dead_letters = DeadLetters(
            f"{name}-dead-letters", settings, names, ground.keys.messages, opts=self._inside
        )
        bus = buses.Bus(name, settings, names, ground.keys.storage, opts=self._inside)
        lambdas = Lambdas(
            name, settings, ground, plan=grounds.plan, scope=self._scope, zips=zips, opts=self._inside
        )
        machines = self._machines(lambdas, bus, primary=primary)
        watched = self._watched(machines, dead_letters)
        self._between(bus, other, machines, dead_letters)
        if settings.raise_quota:
            raise_quota(name, settings, names, primary=primary, opts=self._inside)
        silences = ahead(settings, now)
        schedules = self._schedules(machines, dead_letters, primary=primary, telling=bool(silences))
        Silences(
            name,
            settings,
            names,
            silences=silences,
            now=now,
            alarms=watched.telling,
            starter=schedules.starter,
            publish=machines.arns[PUBLISH],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[watched]),
        )
        if primary:
            self._role(
                EXPORT_ROLE,
                "RDS writes exports to the archive",
                trust(names, "export.rds.amazonaws.com", names.arn("rds", "*")),
                self._scope.apply(services.exporter),
            )
        self.functions, self.machines = lambdas.versions, machines.arns
        self.roles |= lambdas.roles | {f"{thing}-machine": arn for thing, arn in machines.roles.items()}
        self.bus, self.dead_letters = bus.arn, dead_letters.arn
        self.schedule_group = schedules.group
        self.register_outputs({})

    def _machines(self, lambdas: Lambdas, bus: buses.Bus, *, primary: bool) -> Machines:
        name, names, keys = self._name, self.ground.names, self.ground.keys
        topics = self.topics.by_kind
        return Machines(
            name,
            self._settings,
            names,
            primary=primary,
            scope=self._scope,
            functions=lambdas.versions,
            bus=bus.arn,
            topics=topics,
            canary=Canary(f"{name}-canary", self._settings, names, keys.messages, topics, opts=self._inside),
            key=keys.storage,
            opts=self._inside,
        )

    def _watched(self, machines: Machines, dead_letters: DeadLetters) -> Alarms:
        """Let people see and be told how it goes; return the alarms."""
        name, settings, names, topics = self._name, self._settings, self.ground.names, self.topics.by_kind
        Subscriptions(name, settings, names, topics, opts=self._inside)
        FastPath(
            name,
            settings,
            names,
            machines=tuple(machines.arns),
            topics=topics,
            dead_letters=dead_letters.arn,
            opts=self._inside,
        )
        Dashboard(name, settings, names, machines=tuple(machines.arns), opts=self._inside)
        return Alarms(name, settings, names, machines=machines.arns, topics=topics, opts=self._inside)

    def _between(self, bus: buses.Bus, other: Ground, machines: Machines, dead_letters: DeadLetters) -> None:
        """Tell the other cell, and hear it."""
        names = self.ground.names
        heard = [thing for thing in ("hear", "copy") if thing in machines.arns]
        rules = names.arn("events", f"rule/{names.stem}/*")
        over = other.names.arn("events", f"event-bus/{other.names.stem}")
        buses.Rules(
            self._name,
            self._settings,
            names,
            bus=bus,
            other=other.names,
            forwarder=self._role(
                FORWARDER,
                f"an event rule tells {other.names.region}",
                trust(names, "events.amazonaws.com", rules),
                self._scope.apply(lambda scope: services.forwarder(scope, over)),
            ),
            starter=self._role(
                STARTER,
                "an event rule starts state machines",
                trust(names, "events.amazonaws.com", rules),
                self._scope.apply(lambda scope: services.starter(scope, heard)),
            ),
            machines={thing: machines.arns[thing] for thing in heard},
            dead_letters=dead_letters.arn,
            opts=self._inside,
        )

    def _schedules(
        self, machines: Machines, dead_letters: DeadLetters, *, primary: bool, telling: bool
    ) -> Schedules:
        names = self.ground.names
        tells = {PUBLISH} if telling else set()
        jobs = sorted({one.job for one in planned(self._settings, primary=primary)} | tells)
        role = self._role(
            SCHEDULER,
            "schedules start state machines",
            trust(names, "scheduler.amazonaws.com", names.arn("scheduler", f"schedule-group/{names.stem}")),
            pulumi.Output.all(self._scope, dead_letters.arn).apply(
                lambda known: services.scheduler(known[0], jobs, known[1])
            ),
        )
        return Schedules(
            self._name,
            self._settings,
            names,
            primary=primary,
            role=role,
            machines=machines.arns,
            dead_letters=dead_letters.arn,
            key=self.ground.keys.storage,
            opts=self._inside,
        )

    def _role(
        self, thing: str, purpose: str, trusted: Document, policy: pulumi.Output[Document]
    ) -> pulumi.Output[str]:
        role = Role(
            f"{self._name}-{thing}",
            self._settings,
            self.ground.names,
            thing,
            purpose=purpose,
            trust=trusted,
            policy=policy,
            opts=self._inside,
        )
        self.roles[thing] = role.arn
        return role.arn


def scope_of(settings: Settings, grounds: Grounds, ground: Ground) -> pulumi.Output[Scope]:
    """Return what the policies of a cell name, once its keys are known."""
    names, databases = ground.names, grounds.primary.databases.values()
    keys = pulumi.Output.all(
        storage_key=ground.keys.storage,
        messages_key=ground.keys.messages,
        mac_key=ground.keys.mac,
        signing_key=ground.keys.signing,
        sources=[database.key for database in databases],
        plan=grounds.plan,
    )

    def known(made: dict[str, object]) -> Scope:
        plan, sources = made.pop("plan"), made.pop("sources")
        return scope(settings, plan, made, sources)  # type: ignore[arg-type] # what the keys above say

    def scope(settings: Settings, plan: Plan, keys: dict[str, str], sources: list[str]) -> Scope:
        here = plan.primary if ground is grounds.primary else plan.dr
        return Scope(
            suffix=names.suffix,
            account=names.account,
            region=names.region,
            primary=plan.primary.region,
            dr=plan.dr.region,
            evidence=here.evidence_bucket,
            archive=names.bucket("archive"),
            sources=tuple(sorted(set(sources))),
            instances=tuple(database.instance for database in settings.databases),
            secrets=tuple(database.secret for database in settings.databases),
            masters=tuple(one.master_secret for one in settings.databases if one.master_secret),
            export_role=names.role_arn(EXPORT_ROLE),
            subnet_group=here.place.subnet_group,
            parameter_group=here.place.parameter_group,
            **keys,
        )

    return keys.apply(known)
