from datetime import timedelta

import pytest

from pgdrill.drills import telling
from pgdrill.drills.state import Drill, Problem, Step
from pgdrill.evidence.record import Examined, Trigger
from pgdrill.messages import Kind, Level
from pgdrill.model import Finding, Stage, Verdict
from tests.unit.evidence.drills import START, drilled

DRILL = Drill(
    id="20261122t060500000z-shop",
    database="shop",
    source="shop-production",
    wanted="latest",
    trigger=Trigger.SCHEDULE,
    nonce="n",
    plan_sha256="0" * 64,
    started_at=START,
)
BUCKET = "pgdrill-test-evidence"
REQUESTED = {Stage.REQUESTED: START}


@pytest.mark.parametrize("step", [Step.OBSERVE, Step.UNLOCK])
def test_a_restore_that_takes_long_says_how_long_while_it_is_waited_for(step: Step) -> None:
    waiting = DRILL.to(step, stages=REQUESTED)
    assert telling.waiting(waiting, START + timedelta(seconds=59)) is None
    reply = telling.waiting(waiting, START + timedelta(hours=4, seconds=1))
    assert reply is not None
    (metric,) = reply.metrics
    assert (metric.name, metric.value, metric.unit, metric.dimensions) == (
        "RestoreSeconds",
        14401.0,
        "Seconds",
        {"Database": "shop"},
    )


@pytest.mark.parametrize(
    "drill",
    [
        DRILL,
        DRILL.to(Step.EXAMINE, stages=REQUESTED | {Stage.FIRST_QUERY: START}),
        DRILL.to(Step.JUDGE, stages=REQUESTED),
        DRILL.to(Step.DESTROY, stages=REQUESTED),
    ],
)
def test_a_drill_that_waits_for_no_restore_says_nothing(drill: Drill) -> None:
    assert telling.waiting(drill, START + timedelta(hours=5)) is None


@pytest.mark.parametrize(
    ("verdict", "level", "counted"),
    [
        (Verdict.PASSED, Level.REPORT, {"DrillsPassed": 1, "DrillsFailed": 0, "DrillsInconclusive": 0}),
        (Verdict.FAILED, Level.ALARM, {"DrillsPassed": 0, "DrillsFailed": 1, "DrillsInconclusive": 0}),
        (
            Verdict.INCONCLUSIVE,
            Level.WARNING,
            {"DrillsPassed": 0, "DrillsFailed": 0, "DrillsInconclusive": 1},
        ),
    ],
)
def test_a_drill_is_told_as_loudly_as_its_verdict_is_bad(
    verdict: Verdict, level: Level, counted: dict[str, float]
) -> None:
    findings = (Finding(check="rows", verdict=verdict, reason="as it is"),)
    evidence = drilled(verdict=verdict, verdict_reason="rows: as it is", findings=findings)
    reply = telling.judged(evidence, BUCKET)
    told = {metric.name: metric.value for metric in reply.metrics if "Stage" not in metric.dimensions}
    assert {name: told[name] for name in counted} == counted
    assert {name: value for name, value in told.items() if name not in counted} == {
        "RtoUsable": 15.3,
        "RtoVerified": 31.5,
        "RpoLagOfPoint": 41.2,
        "RpoExposure": 330.5,
        "RpoWorstCase": 21960.0,
        "ExaminedBytes": 2_100_000_000,
    }
    (message,) = reply.messages
    assert (message.level, message.kind, message.topic) == (level, Kind.DRILLS, f"drill {verdict.value}")
    assert message.text.splitlines()[0] == (
        f"drill 20261122t060500z-shop of database 'shop': {verdict.value}: rows: as it is"
    )
    (event,) = reply.events
    assert (event.kind, event.subject, event.detail["verdict"]) == (
        "DrillJudged",
        evidence.drill,
        verdict.value,
    )


def test_the_result_of_a_drill_is_readable_and_leads_to_its_report() -> None:
    (message,) = telling.judged(drilled(), BUCKET).messages
    assert message.text.splitlines() == [
        "drill 20261122t060500z-shop of database 'shop': passed: the snapshot restores in 15.3 s, and what comes back is whole",
        "restored: snapshot pgdrill-lab-shop-20261122t06z in ap-southeast-1, of 2026-11-22 06:00:12 UTC",
        "usable after 15.3 s; objective 4 h",
        "lost had it been needed: 5 min 30 s; objective 6 h 15 min",
        "covered: 34 of 34 tables read whole, 2.1 GB; content compared for 0 of 34: first drill of this point",
    ]
    assert message.hint.splitlines() == [
        "report: https://ap-southeast-1.console.aws.amazon.com/s3/object/pgdrill-test-evidence?region=ap-southeast-1&prefix=evidence/shop/ap-southeast-1/20261122t060500z-shop/report.html",
        "or: pgdrill evidence show 20261122t060500z-shop",
    ]
    assert message.attributes == {
        "verdict": "passed",
        "database": "shop",
        "region": "ap-southeast-1",
        "point_kind": "snapshot",
        "rto": 15,
    }


def test_a_time_that_was_not_measured_is_no_attribute() -> None:
    rto = drilled().rto.model_copy(update={"usable": None})
    (message,) = telling.judged(drilled(rto=rto), BUCKET).messages
    assert set(message.attributes) == {"verdict", "database", "region", "point_kind"}
    assert "usable after not measured; objective" in message.text


def test_each_stage_is_told_by_what_it_took_itself() -> None:
    stages = {
        metric.dimensions["Stage"]: round(metric.value, 1)
        for metric in telling.judged(drilled(), BUCKET).metrics
        if metric.name == "StageSeconds"
    }
    assert stages == {
        "accepted": 0.8,
        "available": 11.6,
        "first_login": 2.7,
        "first_query": 0.2,
        "hydrated": 12.9,
        "examined": 3.3,
    }


def test_what_was_not_measured_is_no_metric() -> None:
    rto = drilled().rto.model_copy(update={"usable": None, "verified": None})
    nothing = {"rto": rto, "stages": {}, "examined": Examined()}
    told = {metric.name for metric in telling.judged(drilled(**nothing), BUCKET).metrics}
    assert told == {
        "DrillsPassed",
        "DrillsFailed",
        "DrillsInconclusive",
        "RpoLagOfPoint",
        "RpoExposure",
        "RpoWorstCase",
    }


def test_a_drill_that_was_never_judged_is_told_once_nothing_is_left() -> None:
    problem = Problem(
        step=Step.JUDGE, error="Unavailable", message="no bucket", hint="look", says=Verdict.INCONCLUSIVE
    )
    unjudged = DRILL.to(Step.DESTROY, problem=problem, reason="not judged: no bucket")
    assert telling.ended(unjudged) is None
    assert telling.ended(unjudged.to(Step.DONE, evidence_sha256="0" * 64)) is None
    reply = telling.ended(unjudged.to(Step.DONE))
    assert reply is not None
    assert [(m.level, m.topic, m.text, m.hint) for m in reply.messages] == [
        (
            Level.ALARM,
            "drill not judged",
            "drill 20261122t060500000z-shop of database 'shop' has no evidence: not judged: no bucket",
            "look",
        )
    ]
    assert [(metric.name, metric.value) for metric in reply.metrics] == [("DrillsInconclusive", 1)]
