"""What AWS itself tells of a failure, straight to the topics: rules on the default bus, of what is ours alone.

Events are no proof of health: RDS has none for a backup that failed or did not begin, so every one of these has an
alarm behind it, which speaks later and stays. An event that cannot be delivered is set aside, which an alarm tells.
Sources: RDS User Guide, "Amazon RDS event categories and event messages"; Step Functions Developer Guide,
"Automating Step Functions event delivery with EventBridge"; EventBridge User Guide, "Input transformation".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from buses import RETRY
from naming import Names
from pgdrill.messages import Kind
from pgdrill.watching.alarms import ALARMS
from settings import Settings
from tagging import tags

DOCUMENT = "docs/operations.md#the-fast-path"
# Of an instance: backups off; failed; incompatible parameters, network; password not reset; storage full, low; key
# unusable, for good; deleted; a snapshot refused.
INSTANCE = ("0028", "0031", "0035", "0036", "0067", "0007", "0089", "0418", "0419", "0003", "0023")
# Of a snapshot: its copy cancelled, from another region or in this; its export failed, cancelled, or without a table.
SNAPSHOT = ("0061", "0190", "0159", "0160", "0484")
ENDED_BADLY = ("FAILED", "TIMED_OUT", "ABORTED")
# What drills run under; all other machines are about backups.
OF_DRILLS = ("drill", "reap")
# What failed is in no field of the event that is documented, so the letter cannot be left out.
_BUSY = (
    " If that error is Busy, another drill of the database was under way, which tells its own result:"
    " nothing is to be done."
)


@dataclass(frozen=True)
class Rule:
    """A pattern of events, the topic that is told, and what it reads: `text` has `paths` in angle brackets."""

    thing: str
    kind: Kind
    what: str
    pattern: dict[str, Any]
    paths: dict[str, str]
    text: str


def rules(settings: Settings, names: Names, machines: Sequence[str]) -> Iterator[Rule]:
    """Yield the rules of a cell. `machines` are the names of its state machines, without the stem."""
    if names.region == settings.primary.region:
        instances = [database.instance for database in settings.databases]
        for number, some in enumerate(_within(instances), start=1):
            yield _rds(
                "RDS DB Instance Event",
                INSTANCE,
                some,
                thing="instance-failed" + (f"-{number}" if number > 1 else ""),
                what="tells what fails of production's instances",
            )
    yield _rds(
        "RDS DB Snapshot Event",
        SNAPSHOT,
        [{"prefix": f"{names.stem}-"}],
        thing="point-failed",
        what="tells what fails of points, copies and exports",
    )
    for kind in Kind:
        of_kind = [thing for thing in machines if (thing in OF_DRILLS) == (kind is Kind.DRILLS)]
        yield Rule(
            f"{kind}-execution-failed",
            kind,
            "tells of executions of state machines that ended badly",
            {
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {
                    "status": list(ENDED_BADLY),
                    "stateMachineArn": [
                        names.arn("states", f"stateMachine:{names.thing(one)}") for one in of_kind
                    ],
                },
            },
            {
                "status": "$.detail.status",
                "execution": "$.detail.executionArn",
                "region": "$.region",
                "time": "$.time",
            },
            "in <region> the execution <execution> ended: <status>, at <time>."
            " What it was to do is not done, unless a later one makes up for it."
            " Open it: its last event has the error and what to look at."
            + (_BUSY if kind is Kind.DRILLS else ""),
        )
        yield _over(names, kind)


def _over(names: Names, kind: Kind) -> Rule:
    """Tell that an alarm is over; of one that becomes OK by its first data, nobody wants to know.

    Not of one on a topic's own deliveries, which would fail again where it was told.
    """
    ending = [one.name for one in ALARMS if one.topic is kind and not one.tells]
    return Rule(
        f"{kind}-alarm-over",
        kind,
        "tells that an alarm is over",
        {
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "detail": {
                "alarmName": [{"prefix": names.thing(one)} for one in ending],
                "state": {"value": ["OK"]},
                "previousState": {"value": ["ALARM"]},
            },
        },
        {
            "alarm": "$.detail.alarmName",
            "raised": "$.detail.previousState.timestamp",
            "region": "$.region",
            "time": "$.time",
        },
        "in <region> the alarm <alarm> is over, at <time>; it was raised at <raised>.",
    )


def _rds(
    detail_type: str, events: Sequence[str], identifiers: Sequence[Any], *, thing: str, what: str
) -> Rule:
    return Rule(
        thing,
        Kind.BACKUPS,
        what,
        {
            "source": ["aws.rds"],
            "detail-type": [detail_type],
            "detail": {
                "EventID": [f"RDS-EVENT-{number}" for number in events],
                "SourceIdentifier": list(identifiers),
            },
        },
        {
            "event": "$.detail.EventID",
            "subject": "$.detail.SourceIdentifier",
            "message": "$.detail.Message",
            "region": "$.region",
            "time": "$.detail.Date",
        },
        "in <region> RDS told of <subject>, at <time>: <message> (<event>)",
    )


# EventBridge takes 2,048 characters; the rest of a pattern is under 400.
LONGEST = 2048
_ROOM = LONGEST - 400


def _within(names: Sequence[str]) -> Iterator[list[str]]:
    """Part names so that each pattern is as long as EventBridge takes."""
    some: list[str] = []
    for name in names:
        if some and len(json.dumps([*some, name])) > _ROOM:
            yield some
            some = []
        some.append(name)
    yield some


class FastPath(pulumi.ComponentResource):
    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        *,
        machines: Sequence[str],
        topics: Mapping[Kind, pulumi.Input[str]],
        dead_letters: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:FastPath", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        for one in rules(settings, names, machines):
            rule = aws.cloudwatch.EventRule(
                f"{name}-{one.thing}",
                name=names.thing(one.thing),
                description=one.what,
                event_pattern=json.dumps(one.pattern),
                region=names.region,
                tags=tags(settings, names.thing(one.thing)),
                opts=inside,
            )
            aws.cloudwatch.EventTarget(
                f"{name}-{one.thing}",
                target_id=one.kind.value,
                rule=rule.name,
                arn=topics[one.kind],
                input_transformer={
                    "input_paths": one.paths,
                    "input_template": template(names.suffix, one.text),
                },
                retry_policy=RETRY,
                dead_letter_config={"arn": dead_letters},
                region=names.region,
                opts=inside,
            )
        self.register_outputs({})


def template(suffix: str, text: str) -> str:
    """Return a template for one text, which begins with whose it is, since EventBridge gives every letter one subject.

    It is a JSON string, which SNS sends with its quotation marks.
    """
    return json.dumps(f"pgdrill {suffix}: {text} Read: {DOCUMENT}")
