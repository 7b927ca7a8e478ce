"""The alarms of a cell, made of the table in `pgdrill.watching.alarms`, and the one that says whether it could recover.

An alarm that is raised is told to the topic of what it is about; that it is over, a rule of the fast path tells, since
an action on OK would also send a letter for each alarm whose first data arrive after a deployment. An alarm's name
is `pgdrill-<suffix>-<alarm>`, and for what there are several of, `-<database, function or machine>`.
"""

import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from functions import BY_NAME
from naming import Names
from pgdrill.messages import Kind
from pgdrill.watching import alarm_model, alarms
from pgdrill.watching.alarm_model import DOCUMENT, Alarm, Scope, Subject
from settings import Settings
from tagging import tags

# What of a request is called otherwise here.
RENAMED = {"AlarmName": "name", "Metrics": "metric_queries"}


class Alarms(pulumi.ComponentResource):
    recoverable: pulumi.Output[str]
    """ARN of the composite alarm that stands in ALARM while this cell could not recover"""
    telling: tuple[str, ...]
    """names of the alarms that tell somebody"""

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        *,
        machines: Mapping[str, pulumi.Input[str]],
        topics: Mapping[Kind, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Watch the functions of this cell, and `machines`, ARNs by name; tell `topics`, ARNs."""
        super().__init__("pgdrill:cell:Alarms", name, None, opts)
        self._name, self._settings, self._names, self._topics = name, settings, names, topics
        primary = names.region == settings.primary.region
        functions = {one.name: one.timeout for one in BY_NAME.values() if one.runs_in(primary=primary)}
        wanted = list(
            alarms.of_cell(settings, names.region, functions, tuple(sorted(machines)), names.account)
        )
        made: list[pulumi.Resource] = [self._alarm(alarm, subject, machines) for alarm, subject in wanted]
        self.telling = tuple(self.named(alarm.name, subject.name) for alarm, subject in wanted)
        for thing, rule in alarms.recoverable(settings, names.region, self.named):
            made.append(self._composite(thing, rule, made))
        self.recoverable = made[-1].arn  # type: ignore[attr-defined] # the last one is a composite alarm
        self.register_outputs({"recoverable": self.recoverable})

    def named(self, kind: str, subject: str = "") -> str:
        return self._names.thing(f"{kind}-{subject}" if subject else kind)

    def _alarm(
        self, alarm: Alarm, subject: Subject, machines: Mapping[str, pulumi.Input[str]]
    ) -> pulumi.Resource:
        about = self._about(alarm, subject, machines)
        name = self.named(alarm.name, subject.name)
        request: Any = arguments(alarm_model.request(alarm, subject, name, about))
        return aws.cloudwatch.MetricAlarm(
            f"{self._name}-{alarm.name}" + (f"-{subject.name}" if subject.name else ""),
            **request,
            alarm_actions=[self._topics[alarm.topic]],
            region=self._names.region,
            tags=tags(self._settings, name),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _about(
        self, alarm: Alarm, subject: Subject, machines: Mapping[str, pulumi.Input[str]]
    ) -> dict[str, Any]:
        if alarm.scope is Scope.FUNCTION:
            return {"FunctionName": self._names.thing(subject.name)}
        if alarm.scope is Scope.MACHINE:
            return {"StateMachineArn": machines[subject.name]}
        return dict(alarm.about(subject))

    def _composite(self, name: str, rule: str, children: list[pulumi.Resource]) -> pulumi.Resource:
        return aws.cloudwatch.CompositeAlarm(
            f"{self._name}-{name.removeprefix(self._names.thing(''))}",
            alarm_name=name,
            alarm_description=(
                f"In ALARM: {self._names.region} could not recover what it should, or nobody knows."
                f" See which of its alarms stand: {DOCUMENT}"
            ),
            alarm_rule=rule,
            region=self._names.region,
            tags=tags(self._settings, name),
            # A rule names what is there; it is told of by its children, and shown on the dashboard.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(children)),
        )


def arguments(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request of PutMetricAlarm as the arguments of the resource."""
    return {RENAMED.get(key, _snake(key)): _argument(key, value) for key, value in request.items()}


def _argument(key: str, value: Any) -> Any:
    if key == "Dimensions":
        return {each["Name"]: each["Value"] for each in value}
    if key == "Metrics":
        return [_query(each) for each in value]
    if isinstance(value, dict):
        return arguments(value)
    return value


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    asked = arguments({key: value for key, value in query.items() if key != "MetricStat"})
    if "MetricStat" in query:
        stat = query["MetricStat"]
        asked["metric"] = arguments(stat["Metric"] | {"Period": stat["Period"], "Stat": stat["Stat"]})
    return asked


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
