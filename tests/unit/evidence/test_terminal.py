"""A drill in the terminal: within 80 columns, told by word and symbol, and nothing in a name takes effect."""

import io
import re
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from pgdrill.evidence import terminal
from pgdrill.evidence.chain import Break, Kind
from pgdrill.evidence.record import Purpose, Summary
from pgdrill.model import Damage, Finding, PointKind, Verdict
from pgdrill.points.coverage import ages
from tests.unit.evidence.drills import FINDINGS, START, damaged, drilled, never_started, summaries, torn_down


def shown(what: RenderableType, width: int = 80, *, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=width, color_system="standard" if colour else None, force_terminal=colour
    )
    console.print(what)
    return file.getvalue()


def flat(text: str) -> str:
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


VARIETIES = {
    "passed": terminal.drill(drilled(), torn_down(drilled())),
    "failed": terminal.drill(damaged(40), torn_down(drilled())),
    "never started": terminal.drill(never_started()),
    "verify": terminal.findings(Verdict.FAILED, damaged().findings),
    "trend": terminal.trend(summaries(50)),
    "coverage": terminal.coverage(ages((), START, timedelta(days=35))),
    "long names": terminal.drill(
        damaged(
            database="a-name-of-25-characters-x",
            verdict_reason="x" * 300,
            findings=(
                Finding(
                    check="a_check_with_a_long_name",
                    verdict=Verdict.FAILED,
                    reason="y" * 200,
                    hint="z" * 200,
                    coverage="w" * 200,
                    damage=(Damage(database="d" * 63, object="o" * 127, what="what " * 40),),
                    damaged=1,
                ),
            ),
        )
    ),
}


@pytest.mark.parametrize("what", VARIETIES.values(), ids=VARIETIES.keys())
@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_terminal(what: RenderableType, width: int) -> None:
    lines = shown(what, width).splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= width


def test_a_passed_drill_says_so_with_its_times_against_their_objectives() -> None:
    text = flat(shown(terminal.drill(drilled(), torn_down(drilled()))))
    assert "✓ PASSED The snapshot restores in 15.3 s, and what comes back is whole." in text
    assert "RTO 15.3 s (under 1 % of 4 h); verified after 31.5 s" in text
    assert "RPO exposure at start 5 min 30 s (1 % of 6 h 15 min)" in text
    assert "worst case 6 h 06 min, lag of point 41.2 s" in text
    assert "gone after 6 s: DescribeDBInstances answered DBInstanceNotFound" in text
    assert "Next:" not in text


def test_what_failed_comes_first_with_its_damage_and_what_to_do() -> None:
    text = shown(terminal.drill(damaged(8)))
    words = re.findall(r"^ [✓✗?-] (failed|inconclusive|passed|not asked)", text, re.MULTILINE)
    assert words == ["failed", "inconclusive", *["passed"] * 8, "not asked"]
    said = flat(text)
    assert "✗ heap: 8 pages of the table contradict themselves." in said
    assert 'shop shop."Order Lines 0" block 0: item 3 points past the end of the page' in said
    assert "and 3 more, in the report" in said
    assert "Next: restore an older point and drill it: pgdrill drill run --point oldest" in said
    assert "? collations: The server does not say which collation version it has." in said


def test_a_missed_objective_is_told_in_a_word() -> None:
    late = drilled(rpo_objective=300)
    assert "exposure at start 5 min 30 s (111 % of 5 min, over)" in flat(shown(terminal.drill(late)))


def test_what_was_not_measured_is_told_as_that() -> None:
    text = flat(shown(terminal.drill(never_started())))
    assert "? INCONCLUSIVE" in text
    assert "RTO not measured (objective 4 h); verified not reached" in text
    assert "exposure at start not measured (objective 6 h 15 min)" in text
    assert "torn down not yet" in text
    assert "No check was run." in text


def test_one_cause_of_many_findings_is_told_once() -> None:
    """Where a restore never came up, the same sentence a dozen times would hide what it says."""
    same = [
        Finding(check=name, verdict=Verdict.INCONCLUSIVE, reason="not measured: it did not start")
        for name in ("rows", "heap", "indexes")
    ]
    other = Finding(check="reachable", verdict=Verdict.FAILED, reason="it did not start")
    told = flat(shown(terminal.findings(Verdict.FAILED, [other, *same])))
    assert told.count("Not measured: it did not start.") == 1
    assert "rows, heap, indexes: Not measured" in told


def test_a_recovery_is_called_one_and_its_instance_stays() -> None:
    text = flat(shown(terminal.drill(drilled(purpose=Purpose.RECOVERY))))
    assert "recovery of shop" in text
    assert "torn down no: it stays" in text
    assert "restore drill of shop" in flat(shown(terminal.drill(drilled())))


def test_backups_that_outlive_the_instance_are_told() -> None:
    torn = torn_down(drilled(), retained_backups=("arn:aws:rds:eu-west-1:1:auto-backup:ab-1",))
    assert "LEFT BEHIND: 1 automated backup" in flat(shown(terminal.drill(drilled(), torn)))


def test_verify_counts_what_passed_among_what_was_asked() -> None:
    text = flat(shown(terminal.findings(Verdict.PASSED, FINDINGS)))
    assert "✓ PASSED 9 of 9 checks passed." in text


def test_a_name_neither_drives_the_terminal_nor_is_taken_for_markup() -> None:
    name = "\x1b[2J[bold red]evil[/]\u202e"
    finding = Finding(
        check="rows",
        verdict=Verdict.FAILED,
        reason=f"lost {name}",
        damage=(Damage(database=name, object=name, what=name),),
        damaged=1,
    )
    text = shown(terminal.findings(Verdict.FAILED, (finding,)))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert flat(text).count(r"\x1b[2J[bold red]evil[/]\u202e") >= 3


def test_without_colour_the_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(terminal.drill(damaged()), colour=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)
    assert "✗ FAILED" in text


def test_colour_repeats_the_verdict() -> None:
    assert "\x1b[1;31m✗ FAILED" in shown(terminal.drill(damaged()), colour=True)
    assert "\x1b[1;32m✓ PASSED" in shown(terminal.drill(drilled()), colour=True)


def test_one_cause_of_many_checks_is_told_once_and_what_to_do_stands_at_the_top() -> None:
    cause = (
        "KMSKeyNotAccessibleFault: the key of the snapshot is disabled, so nothing was restored " + "x" * 200
    )
    findings = tuple(
        finding.model_copy(
            update={
                "verdict": Verdict.INCONCLUSIVE,
                "reason": cause,
                "hint": "enable the key",
                "coverage": "",
                "seconds": 0,
            }
        )
        for finding in FINDINGS[:-1]
    )
    text = shown(
        terminal.drill(
            never_started(findings=(*findings, FINDINGS[-1]), verdict_reason="nothing was restored")
        )
    )
    assert "Next: enable the key" in "\n".join(text.splitlines()[:5])
    assert flat(text).count("KMSKeyNotAccessibleFault") == 1
    assert [line.split()[:5] for line in text.splitlines() if "see below" in line] == [
        ["?", "inconclusive", finding.check, "see", "below"] for finding in findings
    ]
    assert "Next:" not in shown(terminal.drill(drilled()))


def test_past_drills_are_listed_newest_first() -> None:
    drills = summaries(4)
    text = shown(terminal.trend(drills), 100)
    assert re.findall(r"2026\d{4}t\d{6}z-shop", text) == [drill.drill for drill in reversed(drills)]
    assert "✗ failed" in text


def test_a_whole_chain_is_whole_and_a_broken_one_names_its_breaks() -> None:
    broken = Break(drill="d-2", kind=Kind.DROPPED, what="is number 3 and comes after number 1")
    text = flat(shown(terminal.chains({"shop": [], "bank": [broken], "crm": None})))
    assert text == (
        "✓ shop: whole ✗ bank: 1 break dropped: drill d-2 is number 3 and comes after number 1"
        " ? crm: no evidence, so nothing is verified"
    )


def test_no_evidence_is_told() -> None:
    assert shown(terminal.chains({})) == "no evidence yet\n"


def test_the_ages_of_the_window_are_a_line_a_day() -> None:
    pitr = drilled().point.model_copy(
        update={"kind": PointKind.PITR, "recovers_to": START - timedelta(hours=31)}
    )
    past = [Summary.of(drilled(7, point=pitr))]
    lines = shown(terminal.coverage(ages(past, START, timedelta(days=2)))).splitlines()
    assert [line.split() for line in lines if "day" in line] == [
        ["0", "days", *("-", "never") * 4],
        ["1", "day", "-", "never", "✓", "2026-11-22", *("-", "never") * 2],
    ]
    assert "1 of 8 ages proved, each of six hours" in lines[-1]
