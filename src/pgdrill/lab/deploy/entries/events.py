"""EventBridge: buses, who may put events on them, rules, their targets, and archives."""

from typing import Any

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag


def _retag(wanted: Wanted, made: Made) -> None:
    added, gone = retag(wanted, made)
    resource = {"ResourceARN": made.outputs["arn"]}
    if added:
        wanted.call("events", "tag_resource", resource, Tags=as_tags(added))
    if gone:
        wanted.call("events", "untag_resource", resource, TagKeys=gone)


def _create_bus(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("name", "description", "kmsKeyIdentifier", "deadLetterConfig", "logConfig")
    made = wanted.call("events", "create_event_bus", given, Tags=wanted.tags())
    return given["name"], {"arn": made["EventBusArn"], "name": given["name"]}


def _update_bus(wanted: Wanted, made: Made) -> Outputs:
    wanted.call(
        "events",
        "update_event_bus",
        wanted.some("name", "description", "kmsKeyIdentifier", "deadLetterConfig", "logConfig"),
    )
    _retag(wanted, made)
    return {}


def _delete_bus(aws: Aws, made: Made) -> None:
    aws.client("events").delete_event_bus(Name=made.id)


def _put_policy(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("eventBusName", "policy")
    wanted.call("events", "put_permission", given)
    return str(given.get("eventBusName", "default")), {}


def _update_policy(wanted: Wanted, _: Made) -> Outputs:
    return _put_policy(wanted)[1]


def _delete_policy(aws: Aws, made: Made) -> None:
    aws.client("events").remove_permission(EventBusName=made.id, RemoveAllPermissions=True)


def _put_rule(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later("forceDestroy")
    given = wanted.some(
        "name", "eventBusName", "eventPattern", "scheduleExpression", "description", "roleArn", "state"
    )
    made = wanted.call("events", "put_rule", given, Tags=wanted.tags())
    return f"{given.get('eventBusName', 'default')}/{given['name']}", {
        "arn": made["RuleArn"],
        "name": given["name"],
    }


def _update_rule(wanted: Wanted, made: Made) -> Outputs:
    _retag(wanted, made)
    return _put_rule(wanted)[1]


def _delete_rule(aws: Aws, made: Made) -> None:
    bus, _, name = made.id.rpartition("/")
    aws.client("events").delete_rule(EventBusName=bus, Name=name)


def _put_target(wanted: Wanted) -> tuple[str, Outputs]:
    place = wanted.some("rule", "eventBusName")
    target: dict[str, Any] = wanted.some(
        "arn", "roleArn", "input", "inputPath", "deadLetterConfig", "retryPolicy", targetId="Id"
    )
    target.setdefault("Id", wanted.name)
    if (transformer := wanted.take("inputTransformer")) is not None:
        target["inputTransformer"] = {
            "InputPathsMap": transformer.get("inputPaths") or {},
            "InputTemplate": transformer["inputTemplate"],
        }
    answer = wanted.call("events", "put_targets", place, Targets=[target])
    if answer["FailedEntryCount"]:
        raise ValueError(f"{wanted.name}: {answer['FailedEntries'][0]['ErrorMessage']}")
    bus = place.get("eventBusName", "default")
    return f"{bus}/{place['rule']}/{target['Id']}", {"targetId": target["Id"]}


def _update_target(wanted: Wanted, _: Made) -> Outputs:
    return _put_target(wanted)[1]


def _delete_target(aws: Aws, made: Made) -> None:
    bus, rule, identity = made.id.rsplit("/", 2)
    aws.client("events").remove_targets(EventBusName=bus, Rule=rule, Ids=[identity])


def _create_archive(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(
        "eventSourceArn",
        "eventPattern",
        "description",
        "retentionDays",
        "kmsKeyIdentifier",
        name="ArchiveName",
    )
    made = wanted.call("events", "create_archive", given)
    return given["ArchiveName"], {"arn": made["ArchiveArn"]}


def _update_archive(wanted: Wanted, _: Made) -> Outputs:
    wanted.later("eventSourceArn")
    given = wanted.some(
        "eventPattern", "description", "retentionDays", "kmsKeyIdentifier", name="ArchiveName"
    )
    wanted.call("events", "update_archive", given)
    return {}


def _delete_archive(aws: Aws, made: Made) -> None:
    aws.client("events").delete_archive(ArchiveName=made.id)


ENTRIES = (
    Entry("aws:cloudwatch/eventBus:EventBus", _create_bus, _delete_bus, _update_bus, frozenset({"name"})),
    Entry(
        "aws:cloudwatch/eventBusPolicy:EventBusPolicy",
        _put_policy,
        _delete_policy,
        _update_policy,
        frozenset({"eventBusName"}),
    ),
    Entry(
        "aws:cloudwatch/eventRule:EventRule",
        _put_rule,
        _delete_rule,
        _update_rule,
        frozenset({"name", "eventBusName"}),
    ),
    Entry(
        "aws:cloudwatch/eventTarget:EventTarget",
        _put_target,
        _delete_target,
        _update_target,
        frozenset({"rule", "eventBusName", "targetId"}),
    ),
    Entry(
        "aws:cloudwatch/eventArchive:EventArchive",
        _create_archive,
        _delete_archive,
        _update_archive,
        frozenset({"name", "eventSourceArn"}),
    ),
)
