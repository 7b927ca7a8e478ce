"""A drill, or the findings of `verify`, as a person reads them in a terminal. Returns renderables, prints nothing.

Everything fits 80 columns, the list of past drills 100; symbol and word carry the verdict, colour only repeats it.
"""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pgdrill.evidence.chain import Break
from pgdrill.evidence.charts import TERMINAL, timeline
from pgdrill.evidence.record import Evidence, Purpose, Summary, Teardown
from pgdrill.evidence.wording import (
    KIND,
    SYMBOL,
    TITLE,
    URGENCY,
    VERDICT,
    duration,
    moment,
    plural,
    sentence,
    share,
    size,
    visible,
)
from pgdrill.model import Damage, Finding, Verdict
from pgdrill.points.coverage import Age, days, proved

STYLE = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_ASKED: "dim",
}
DAMAGE_SHOWN = 5


def drill(evidence: Evidence, teardown: Teardown | None = None) -> RenderableType:
    """Return a drill: what came of it and why, what each check found, how long it took, what would be lost."""
    return Group(
        verdict(
            evidence.verdict,
            evidence.verdict_reason,
            f"{TITLE[evidence.purpose]} of {evidence.database}",
            next((finding.hint for finding in _wrong(evidence.findings) if finding.hint), ""),
        ),
        Padding(_restored(evidence, teardown), (0, 1, 1, 1)),
        Padding(_timeline(evidence, teardown), (0, 1)),
        _checks(evidence.findings),
        *(_note(f"Know: {sentence(warning)}", "yellow") for warning in evidence.warnings),
    )


def findings(outcome: Verdict, found: Sequence[Finding], title: str = "verify") -> RenderableType:
    """Return findings that belong to no drill, as those of a server that was not restored by pgdrill."""
    passed = sum(finding.verdict is Verdict.PASSED for finding in found)
    asked = sum(finding.verdict is not Verdict.NOT_ASKED for finding in found)
    return Group(verdict(outcome, f"{passed} of {plural(asked, 'check')} passed", title), _checks(found))


def verdict(outcome: Verdict, reason: str, title: str, hint: str = "") -> RenderableType:
    """Return the panel with the verdict in a word and one sentence, and what to do next, where there is a hint."""
    style = STYLE[outcome]
    word = Text(f"{SYMBOL[outcome]} {VERDICT[outcome].upper()}", style=f"bold {style}")
    return Panel(
        Group(word, _text(sentence(reason)), *([_text(f"Next: {hint}")] if hint else [])),
        title=_text(title),
        title_align="left",
        border_style=style,
        padding=(0, 1),
    )


def _checks(found: Sequence[Finding]) -> RenderableType:
    """Return a line for each check, and for each that did not pass what is wrong and what to do next."""
    if not found:
        return Padding(Text("No check was run.", style="dim"), (1, 1, 0, 1))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("verdict", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("what was looked at", overflow="fold", ratio=1)
    table.add_column("took", justify="right", no_wrap=True)
    wrong = _wrong(found)
    for finding in _urgent(found):
        style = STYLE[finding.verdict]
        table.add_row(
            Text(f"{SYMBOL[finding.verdict]} {VERDICT[finding.verdict]}", style=style),
            _text(finding.check),
            _text(finding.coverage or ("see below" if finding in wrong else finding.reason), "dim"),
            Text(duration(finding.seconds) if finding.seconds else "", style="dim"),
        )
    return Group(table, *(_explained(finding) for finding in _folded(wrong)))


def _folded(wrong: Sequence[Finding]) -> list[Finding]:
    """Join findings that say the very same, so that one cause is read once and does not scroll away."""
    joined: dict[tuple[Verdict, str, str, str], Finding] = {}
    for finding in wrong:
        key = (finding.verdict, finding.reason, finding.hint, finding.check if finding.damage else "")
        known = joined.get(key)
        check = f"{known.check}, {finding.check}" if known else finding.check
        joined[key] = finding.model_copy(update={"check": check})
    return list(joined.values())


def trend(past: Sequence[Summary]) -> Table:
    """Return a line for each past drill and recovery, newest first; a point's id is what `recover` takes."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("drill", "purpose", "of", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("usable", justify="right", no_wrap=True)
    table.add_column("point", no_wrap=True)
    for summary in reversed(past):
        table.add_row(
            _text(summary.drill),
            summary.purpose,
            summary.kind,
            Text(f"{SYMBOL[summary.verdict]} {VERDICT[summary.verdict]}", style=STYLE[summary.verdict]),
            Text("-" if summary.rto_usable is None else duration(summary.rto_usable)),
            _text(summary.point),
        )
    return table


def coverage(cells: Sequence[Age]) -> RenderableType:
    """Return the ages of the PITR window, a line a day: which came back in a drill, and when that was."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("age", no_wrap=True)
    rows = days(cells)
    for age in rows[0]:
        table.add_column(f"+{age.from_hours} to {age.to_hours} h", no_wrap=True)
    for number, day in enumerate(rows):
        table.add_row(plural(number, "day"), *(_age(age) for age in day))
    return Group(table, Text(f" {proved(cells)} of {len(cells)} ages proved, each of six hours"))


def _age(age: Age) -> Text:
    word = f"{age.shown.at:%Y-%m-%d}" if age.shown else "never"
    return Text(f"{SYMBOL[age.verdict]} {word}", style=STYLE[age.verdict])


def chains(breaks: Mapping[str, Sequence[Break] | None]) -> RenderableType:
    """Return, for each database, that its evidence is whole, every place where it is not, or, for None, that it has none."""
    if not breaks:
        return Text("no evidence yet")
    lines: list[RenderableType] = []
    for database, found in breaks.items():
        held, word = Verdict.PASSED, "whole"
        if found is None:
            held, word = Verdict.INCONCLUSIVE, "no evidence, so nothing is verified"
        elif found:
            held, word = Verdict.FAILED, plural(len(found), "break")
        lines.append(Text(f"{SYMBOL[held]} {visible(database)}: {word}", style=STYLE[held]))
        lines.extend(_note(f"{one.kind}: drill {one.drill} {one.what}", "") for one in found or ())
    return Group(*lines)


def _restored(evidence: Evidence, teardown: Teardown | None) -> RenderableType:
    point, rto, rpo = evidence.point, evidence.rto, evidence.rpo
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    lines = [
        ("point", f"{KIND[point.kind]} {point.id}"),
        ("data as of", moment(point.recovers_to)),
        ("RTO", f"{_against(rto.usable, rto.objective)}; verified {_after(rto.verified)}"),
        ("RPO", f"exposure at start {_against(rpo.exposure_at_start, evidence.rpo_objective)}"),
        ("", f"worst case {duration(rpo.worst_case)}, lag of point {duration(rpo.lag_of_point)}"),
        ("", f"from {rpo.basis}"),
        ("read", _examined(evidence)),
        ("torn down", "no: it stays" if evidence.purpose is Purpose.RECOVERY else _torn_down(teardown)),
        ("evidence", evidence.drill),
    ]
    for name, value in lines:
        grid.add_row(name, _text(value))
    return grid


def _timeline(evidence: Evidence, teardown: Teardown | None) -> RenderableType:
    """Return a bar for each phase, placed where it lies in the whole of the drill."""
    picture = timeline(evidence, teardown, TERMINAL)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, width=int(TERMINAL.width) + 1)
    grid.add_column(justify="right", no_wrap=True)
    for phase in picture.phases if picture else ():
        first = min(round(phase.x), int(TERMINAL.width) - 1)
        bar = Text(" " * first + "━" * max(1, round(phase.x + phase.width) - first), style="blue")
        grid.add_row(phase.label, bar, duration(phase.seconds))
    return grid


def _against(seconds: float | None, objective: float) -> str:
    if seconds is None:
        return f"not measured (objective {duration(objective)})"
    over = ", over" if seconds > objective else ""
    return f"{duration(seconds)} ({share(seconds, objective)} of {duration(objective)}{over})"


def _after(seconds: float | None) -> str:
    return "not reached" if seconds is None else f"after {duration(seconds)}"


def _examined(evidence: Evidence) -> str:
    examined = evidence.examined
    parts = [
        "" if examined.tables is None else plural(examined.tables, "table"),
        "" if examined.rows is None else plural(examined.rows, "row"),
        "" if examined.bytes is None else size(examined.bytes),
    ]
    return ", ".join(part for part in parts if part) or "nothing"


def _torn_down(teardown: Teardown | None) -> str:
    if teardown is None:
        return "not yet"
    if teardown.gone_at is None:
        return f"asked for at {moment(teardown.requested_at)}, not yet gone"
    took = (teardown.gone_at - teardown.requested_at).total_seconds()
    kept = teardown.retained_backups
    left = f"; LEFT BEHIND: {plural(len(kept), 'automated backup')}" if kept else ""
    return f"gone after {duration(took)}: {teardown.proof}{left}"


def _explained(finding: Finding) -> RenderableType:
    style = STYLE[finding.verdict]
    head = Text.assemble(
        (f"{SYMBOL[finding.verdict]} {visible(finding.check)}", f"bold {style}"),
        ": ",
        visible(sentence(finding.reason)),
    )
    lines: list[RenderableType] = [
        head,
        *(Padding(_damage(damage), (0, 0, 0, 4)) for damage in finding.damage[:DAMAGE_SHOWN]),
    ]
    shown = min(len(finding.damage), DAMAGE_SHOWN)
    if finding.damaged > shown:
        lines.append(
            Padding(Text(f"and {finding.damaged - shown} more, in the report", style="dim"), (0, 0, 0, 4))
        )
    if finding.hint:
        lines.append(_note(f"Next: {finding.hint}", ""))
    return Group(*lines, Text())


def _damage(damage: Damage) -> Text:
    name = (visible(damage.object), "bold")
    return Text.assemble((visible(damage.database), "dim"), " ", name, f" {visible(damage.what)}")


def _note(text: str, style: str) -> RenderableType:
    return Padding(_text(text, style), (0, 0, 0, 2))


def _text(text: str, style: str = "") -> Text:
    """Return text in which nothing is markup and no character drives the terminal."""
    return Text(visible(text), style=style)


def _urgent(found: Sequence[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: URGENCY.index(finding.verdict))


def _wrong(found: Sequence[Finding]) -> list[Finding]:
    return [
        finding for finding in _urgent(found) if finding.verdict in {Verdict.FAILED, Verdict.INCONCLUSIVE}
    ]
