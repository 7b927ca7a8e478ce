"""Between the cells: a bus in each region, and rules that carry a telling over and act on one that arrived.

A cell forwards what began in its own region alone, so nothing goes round. Lost, late and doubled events do no harm:
the inventory itself lies in the buckets, and the next telling says it all again.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from settings import Settings
from tagging import tags

TOLD = "InventoryTold"
# After an hour the next dozen tellings have said more.
RETRY: Any = {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 24}


class Bus(pulumi.ComponentResource):
    arn: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:Bus", name, None, opts)
        bus = aws.cloudwatch.EventBus(
            name,
            name=names.stem,
            description="what the cells tell each other",
            kms_key_identifier=key,
            region=names.region,
            tags=tags(settings, names.stem),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn, self.name = bus.arn, bus.name
        self.register_outputs({"arn": self.arn, "name": self.name})


class Rules(pulumi.ComponentResource):
    """What a cell's bus does with tellings: its own go to the other region, those of the other start machines."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        *,
        bus: Bus,
        other: Names,
        forwarder: pulumi.Input[str],
        starter: pulumi.Input[str],
        machines: Mapping[str, pulumi.Input[str]],
        dead_letters: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make them. `machines` are the ARNs of those that a telling starts."""
        super().__init__("pgdrill:cell:Rules", name, None, opts)
        self._settings, self._names, self._bus, self._dead_letters = settings, names, bus, dead_letters
        over = other.arn("events", f"event-bus/{other.stem}")
        self._rule(
            f"{name}-forward",
            "forward",
            pattern(names, names.region),
            {"forward": (over, forwarder)},
            description=f"carries tellings to {other.region}",
        )
        self._rule(
            f"{name}-heard",
            "heard",
            pattern(names, other.region),
            {thing: (machine, starter) for thing, machine in machines.items()},
            description=f"acts on tellings of {other.region}",
        )
        self.register_outputs({})

    def _rule(
        self,
        name: str,
        thing: str,
        event_pattern: dict[str, Any],
        targets: Mapping[str, tuple[pulumi.Input[str], pulumi.Input[str]]],
        *,
        description: str,
    ) -> None:
        inside = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            name,
            name=self._names.thing(thing),
            description=description,
            event_bus_name=self._bus.name,
            event_pattern=pulumi.Output.json_dumps(event_pattern),
            region=self._names.region,
            tags=tags(self._settings, self._names.thing(thing)),
            opts=inside,
        )
        for target, (arn, role) in targets.items():
            aws.cloudwatch.EventTarget(
                f"{name}-{target}",
                target_id=target,
                rule=rule.name,
                event_bus_name=self._bus.name,
                arn=arn,
                role_arn=role,
                retry_policy=RETRY,
                dead_letter_config={"arn": self._dead_letters},
                region=self._names.region,
                opts=inside,
            )


def pattern(names: Names, region: str) -> dict[str, Any]:
    return {"source": [f"pgdrill.{names.suffix}"], "detail-type": [TOLD], "region": [region]}
