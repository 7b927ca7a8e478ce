"""EventBridge Scheduler: schedules and their groups."""

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag


def _create_group(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("name")
    made = wanted.call("scheduler", "create_schedule_group", given, Tags=wanted.tags())
    return given["name"], {"arn": made["ScheduleGroupArn"], "state": "ACTIVE"}


def _update_group(wanted: Wanted, made: Made) -> Outputs:
    added, gone = retag(wanted, made)
    resource = {"ResourceArn": made.outputs["arn"]}
    if added:
        wanted.call("scheduler", "tag_resource", resource, Tags=as_tags(added))
    if gone:
        wanted.call("scheduler", "untag_resource", resource, TagKeys=gone)
    wanted.later("name")
    return {}


def _delete_group(aws: Aws, made: Made) -> None:
    aws.client("scheduler").delete_schedule_group(Name=made.id)


def _put(operation: str, wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(
        "name",
        "groupName",
        "description",
        "scheduleExpression",
        "scheduleExpressionTimezone",
        "flexibleTimeWindow",
        "target",
        "state",
        "kmsKeyArn",
        "startDate",
        "endDate",
        "actionAfterCompletion",
    )
    arn = wanted.call("scheduler", operation, given)["ScheduleArn"]
    return f"{given.get('groupName', 'default')}/{given['name']}", {"arn": arn}


def _create(wanted: Wanted) -> tuple[str, Outputs]:
    return _put("create_schedule", wanted)


def _update(wanted: Wanted, _: Made) -> Outputs:
    return _put("update_schedule", wanted)[1]


def _delete(aws: Aws, made: Made) -> None:
    group, _, name = made.id.partition("/")
    aws.client("scheduler").delete_schedule(GroupName=group, Name=name)


ENTRIES = (
    Entry(
        "aws:scheduler/scheduleGroup:ScheduleGroup",
        _create_group,
        _delete_group,
        _update_group,
        frozenset({"name"}),
    ),
    Entry("aws:scheduler/schedule:Schedule", _create, _delete, _update, frozenset({"name", "groupName"})),
)
