"""Every alarm fires on its cause within a quarter of an hour, and no alarm in days in which all is well."""

import re
import shlex
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore import xform_name

from pgdrill.handlers.choose import ChooseRequest
from pgdrill.plan import Copies, Notify
from pgdrill.watching import alarms
from pgdrill.watching.ages import measure
from pgdrill.watching.alarm_model import (
    DOCUMENT,
    LONGEST_DESCRIPTION,
    TOLD_WITHIN,
    UNMEASURED,
    Alarm,
    Subject,
)
from pgdrill.watching.alarms import ALARMS, BY_NAME
from tests.docs.test_commands import _unknown as absent
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME
from tests.unit.watching import alerting
from tests.unit.watching.cases import CASES, PHASES, Case, X, fires
from tests.unit.watching.watchman import FUNCTIONS, MACHINES, Watchman, watch
from tests.unit.watching.world import HOUR, MINUTE, PLAN, look


@pytest.mark.parametrize("datapoints", [1, 2])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alarm)
def test_an_alarm_fires_on_its_cause_in_time_and_no_other_does(
    case: Case, phase: timedelta, datapoints: int
) -> None:
    asked = plan(notify=Notify(datapoints=datapoints))
    fired, after = fires(case, phase, asked)
    assert set(fired) == {case.alarm} | case.also
    assert timedelta(0) <= after <= BY_NAME[case.alarm].told_after(asked) - MINUTE


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_when_the_watch_stops_its_alarm_speaks_first_and_all_that_follow_say_that_it_may_be_so(
    region: str,
) -> None:
    man = Watchman(PLAN, region, X - HOUR)
    for minutes in range(-60, 60):
        now = X + minutes * MINUTE
        if minutes < 0 and minutes % 5 == 0:
            man.look(look(region, now))
        man.evaluate(now + MINUTE)
    silent = {alarm.name for alarm, _ in everything(region) if alarm.missing == "breaching"}
    assert {name.partition("/")[0] for name in man.fired} == silent
    assert min(man.fired, key=lambda name: man.fired[name]) == "watch-silent"
    assert all(man.fired[name] > man.fired["watch-silent"] for name in man.fired if name != "watch-silent")
    told = {alarm.name for alarm, subject in everything(region) if UNMEASURED in alarm.description(subject)}
    assert told == silent - {"watch-silent"}


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


def everything(region: str) -> list[tuple[Alarm, Subject]]:
    return list(alarms.of_cell(PLAN, region, FUNCTIONS, MACHINES))


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_every_description_tells_a_woken_person_what_to_do_where(region: str) -> None:
    for alarm, subject in everything(region):
        lines = alarm.description(subject).splitlines()
        follows = ["Or"] if alarm.missing == "breaching" and alarm.name != "watch-silent" else []
        assert [line.partition(":")[0] for line in lines[1:]] == ["Since", "Means", "Do", *follows, "Read"]
        assert lines[0].startswith(subject.name or region) or region in lines[0]
        assert lines[-1] == f"Read: {DOCUMENT}#{alarm.name}"
        text = "\n".join(lines)
        assert len(text) <= LONGEST_DESCRIPTION
        assert re.search(r"\{\w*\}", text) is None


def test_the_longest_names_fit_into_every_description() -> None:
    database = {"name": "d" * 25, "instance": "i", "secret": "s"}
    asked = plan(stack={"suffix": "a" * 15}, database=[database])
    made = alarms.of_cell(asked, AWAY, {"f" * 20: 60}, ("m" * 20,), "1" * 12)
    assert max(len(alarm.description(subject)) for alarm, subject in made) <= LONGEST_DESCRIPTION


COMMAND = re.compile(r"`((?:pgdrill|aws) [^`]+)`")


def typed(alarm: Alarm, subject: Subject) -> list[str]:
    """Return what a description has somebody type, as the shell makes it."""
    text = alarm.description(subject)
    return [
        command.replace("$(date -u +%FT%TZ)", "2026-11-22T06:00:00Z") for command in COMMAND.findall(text)
    ]


def refused(command: str) -> str | None:
    """Return what AWS's command line would not know of a command, or lacks: the service's action, an option, a region."""
    _, service, action, *words = shlex.split(command)
    operations = botocore.session.get_session().get_service_model(service)
    actions = {xform_name(name, "-"): name for name in operations.operation_names}
    if action not in actions:
        return action
    shape = operations.operation_model(actions[action]).input_shape
    known = {f"--{xform_name(name, '-')}" for name in (shape.members if shape else ())} | {"--region"}
    needed = [f"--{xform_name(name, '-')}" for name in (shape.required_members if shape else ())]
    given = [word for word in words if word.startswith("--")]
    wrong = [word for word in given if word not in known]
    return next(iter([*wrong, *(word for word in [*needed, "--region"] if word not in given)]), None)


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_every_command_that_a_description_names_is_there(region: str) -> None:
    for alarm, subject in everything(region):
        for command in typed(alarm, subject):
            unknown = refused if command.startswith("aws ") else absent
            assert unknown(command) is None, command


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_every_command_says_of_which_database_and_cell(region: str) -> None:
    """With several databases it would be refused, and in the other cell ask where nothing happened."""
    cell = "primary" if region == HOME else "dr"
    for alarm, subject in everything(region):
        for command in typed(alarm, subject):
            words = shlex.split(command)
            if words[0] == "pgdrill" and absent(f"{command} --cell x") is None:
                asked = words[words.index("--cell") + 1] if "--cell" in words else "primary"
                assert asked == cell, command
            if words[0] == "pgdrill" and absent(f"{command} --database x") is None and words[1] != "doctor":
                assert words[words.index("--database") + 1] == (subject.name or "DATABASE"), command


@pytest.mark.parametrize(("region", "cell"), [(HOME, "primary"), (AWAY, "dr")])
def test_a_drill_is_asked_of_the_deployed_system(region: str, cell: str) -> None:
    """Nobody else may derive its password, or reaches its instance."""
    drills = {
        alarm.name: shlex.split(command)
        for alarm, subject in alarms.of_cell(PLAN, region, FUNCTIONS, MACHINES, "111122223333")
        for command in typed(alarm, subject)
        if "start-execution" in command
    }
    wanted = {}
    for name, words in drills.items():
        given = dict(zip(words[3::2], words[4::2], strict=True))
        assert given["--region"] == region
        arn = f"arn:aws:states:{region}:111122223333:stateMachine:pgdrill-lab-drill"
        assert given["--state-machine-arn"] == arn
        request = ChooseRequest.model_validate_json(given["--input"])
        assert (request.database, request.due_at) == ("shop", datetime(2026, 11, 22, 6, tzinfo=UTC))
        wanted[name] = request.wanted
    assert wanted == {
        "drill-failed": "oldest",
        "drill-inconclusive": "latest",
        "drill-overdue": "latest",
        "drill-skipped": "latest",
    }


@pytest.mark.parametrize(
    ("command", "unknown"),
    [
        ("aws kms enable-key --region r --key-id k", None),
        ("aws kms enable-key --region r", "--key-id"),
        ("aws kms enable-key --key-id k", "--region"),
        ("aws kms enable-kee", "enable-kee"),
        ("aws stepfunctions start-execution --machine m", "--machine"),
    ],
)
def test_a_command_that_does_not_run_as_printed_is_noticed(command: str, unknown: str | None) -> None:
    assert refused(command) == unknown


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


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_the_document_has_a_section_of_every_alarm_and_of_what_stands_on_others(region: str) -> None:
    text = alerting.document()
    sections = set(re.findall(r"^## (\S+)$", text, re.MULTILINE))
    assert {alarm.name for alarm in ALARMS} | {"unrecoverable"} == sections
    whole = text.partition("\n## unrecoverable\n")[2]
    ((_, rule),) = alarms.recoverable(PLAN, region, lambda kind, _: kind)
    line = next(
        line for line in whole.splitlines() if f"the {'primary' if region == HOME else 'DR'} cell" in line
    )
    assert re.findall(r"\(#([a-z-]+)\)", line) == re.findall(r'ALARM\("([a-z-]+)"\)', rule)
    for command in re.findall(r"`(aws [^`]+)`", whole):
        assert refused(command) is None


def test_what_of_the_document_is_to_be_replaced_is_said_in_its_head() -> None:
    head, _, rest = alerting.document().partition("\n## ")
    stands = head.partition("Before you type a command from here")[2].splitlines()[0]
    for command in re.findall(r"`((?:aws|pgdrill) [^`]+)`", rest):
        for placeholder in re.findall(
            r"\b[A-Z]{3,}\b", re.sub(r"--state(-value)? \w+|--input.*", "", command)
        ):
            assert f"`{placeholder}`" in stands, command
    assert "`pgdrill-lab`" in stands


def test_the_document_of_the_alarms_is_fresh() -> None:
    assert alerting.DOCUMENT.read_text() == alerting.document(), "run: make docs"
