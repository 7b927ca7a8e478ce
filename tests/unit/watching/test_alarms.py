"""Every alarm fires on its cause within a quarter of an hour, and no alarm in days in which all is well."""

import re
from datetime import timedelta

import pytest

from pgdrill.plan import Copies, Notify
from pgdrill.watching import alarms
from pgdrill.watching.ages import measure
from pgdrill.watching.alarms import ALARMS, BY_NAME, DOCUMENT, LONGEST_DESCRIPTION, TOLD_WITHIN, Subject
from tests.docs.test_commands import _unknown as unknown
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME
from tests.unit.watching import alerting
from tests.unit.watching.cases import CASES, PHASES, Case, X, fires
from tests.unit.watching.watchman import FUNCTIONS, MACHINES, watch
from tests.unit.watching.world import MINUTE, PLAN, look


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alarm)
def test_an_alarm_fires_on_its_cause_in_time_and_no_other_does(case: Case, phase: timedelta) -> None:
    fired, after = fires(case, phase)
    assert set(fired) == {case.alarm} | case.also
    assert timedelta(0) <= after <= BY_NAME[case.alarm].told_after(PLAN) - MINUTE


def test_every_alarm_has_a_case() -> None:
    assert [case.alarm for case in CASES] == [alarm.name for alarm in ALARMS]


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_days_in_which_all_is_well_are_silent(region: str) -> None:
    """From the deployment on, with a drill; `tests/lab/test_alarms_month.py` lets a month pass."""
    assert watch(PLAN, region, 3) == {}


@pytest.mark.parametrize("datapoints", [1, 2])
def test_the_longest_way_to_a_notification_is_under_fifteen_minutes(datapoints: int) -> None:
    asked = plan(notify=Notify(datapoints=datapoints))
    sums = {alarm.name: alarm.told_after(asked) for alarm in ALARMS}
    assert {name for name, after in sums.items() if after >= TOLD_WITHIN} == set()
    assert max(sums.values()) == 14.75 * MINUTE


def everything(region: str) -> list[tuple[alarms.Alarm, Subject]]:
    return list(alarms.of_cell(PLAN, region, FUNCTIONS, MACHINES))


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_every_description_tells_a_woken_person_what_to_do_where(region: str) -> None:
    for alarm, subject in everything(region):
        lines = alarm.description(subject).splitlines()
        assert [line.partition(":")[0] for line in lines[1:]] == ["Since", "Means", "Do", "Read"]
        assert lines[0].startswith(subject.name or region) or region in lines[0]
        assert lines[-1] == f"Read: {DOCUMENT}#{alarm.name}"
        text = "\n".join(lines)
        assert len(text) <= LONGEST_DESCRIPTION
        assert "{" not in text


COMMAND = re.compile(r"pgdrill [a-z]+(?: [a-z]+)?(?: --[a-z-]+(?: [a-z]+)?)*")


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_every_command_that_a_description_names_is_there(alarm: alarms.Alarm) -> None:
    text = alarm.text
    named = [command for part in (text.since, text.do) for command in COMMAND.findall(part)]
    assert {command: unknown(command) for command in named} == dict.fromkeys(named)


def test_a_description_has_the_plans_own_figures() -> None:
    asked = plan(copies=Copies(late_after=timedelta(hours=2)))
    described = BY_NAME["copy-late"].description(Subject(asked, AWAY, "shop"))
    assert described.splitlines()[:2] == [
        f"shop: no copy in {AWAY} of a point that should have one.",
        "Since: the value is how old the newest copy's slot is, in seconds; it should be under 8 h",
    ]


def test_each_cell_has_its_own_alarms() -> None:
    names = {region: {alarm.name for alarm, _ in everything(region)} for region in (HOME, AWAY)}
    assert names[AWAY] - names[HOME] == {"copy-late", "copy-waiting", "copies-queue"}
    assert {"snapshot-late", "ledger-silent", "export-late"} <= names[HOME] - names[AWAY]


def test_what_the_plan_does_not_have_is_not_watched() -> None:
    database = {"name": "shop", "instance": "i", "secret": "s", "ledger": "off"}
    asked = plan(database=[database], exports={"schedule": "off"})
    names = {alarm.name for alarm, _ in alarms.of_cell(asked, HOME, {}, ())}
    assert not {name for name in names if name.startswith(("ledger", "export", "function", "machine"))}


def test_a_metric_that_an_alarm_looks_at_is_published_in_the_very_dimensions() -> None:
    for region in (HOME, AWAY):
        seen = look(region, X)
        published = measure(seen, PLAN)
        there = {(one.name, frozenset(({"Suffix": "lab"} | one.dimensions).items())) for one in published}
        elsewhere = {"PointsDeletedForRoom", "InstancesReaped", "ReapsFailed"}
        for alarm, subject in everything(region):
            if alarm.watched and alarm.metrics[0] not in elsewhere:
                assert (alarm.metrics[0], frozenset(alarm.about(subject).items())) in there, alarm.name


def named(kind: str, database: str) -> str:
    return f"{kind}/{database}" if database else kind


def test_a_cell_says_whether_it_could_recover() -> None:
    ((name, rule),) = alarms.recoverable(PLAN, HOME, named)
    assert name == "unrecoverable"
    assert rule == (
        '(ALARM("snapshot-late/shop") AND ALARM("restorable-late/shop")) OR (ALARM("drill-failed/shop"))'
        ' OR ALARM("key-unusable") OR ALARM("watch-silent")'
    )
    ((_, rule),) = alarms.recoverable(PLAN, AWAY, named)
    assert rule.startswith('(ALARM("copy-late/shop")) OR')


def test_many_databases_are_more_alarms_than_one_rule_takes() -> None:
    databases = [{"name": f"d{n}", "instance": f"i{n}", "secret": "s"} for n in range(70)]
    made = alarms.recoverable(plan(database=databases), HOME, named)
    assert [name for name, _ in made] == [
        "unrecoverable-1",
        "unrecoverable-2",
        "unrecoverable-3",
        "unrecoverable",
    ]
    assert all(rule.count("ALARM(") <= alarms.MOST_CHILDREN for _, rule in made)
    assert made[-1][1].startswith('ALARM("unrecoverable-1") OR ALARM("unrecoverable-2") OR')
    assert sum("d69" in rule for _, rule in made) == 1


def test_the_document_of_the_alarms_is_fresh() -> None:
    assert alerting.DOCUMENT.read_text() == alerting.document(), "run: make docs"
