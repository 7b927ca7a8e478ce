"""The matrix on a terminal. Pure."""

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pgdrill.compliance.matrix import WORD, Matrix
from pgdrill.evidence import wording
from pgdrill.evidence.terminal import STYLE
from pgdrill.model import Verdict


def table(made: Matrix) -> Table:
    """Return one line a demand, with the first of what the evidence says; the page and the JSON hold it all."""
    lines = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("clause", "demand", "", "what the evidence says"):
        lines.add_column(name)
    for row in made.rows:
        frame = row.frame.split(",", maxsplit=1)[0].split(" (", maxsplit=1)[0]
        for index, (name, answer) in enumerate(row.answers.items()):
            more = f" (and {len(answer.says) - 1} more)" if len(answer.says) > 1 else ""
            lines.add_row(
                f"{frame} {row.number}" if index == 0 else "",
                name.replace("_", " "),
                _word(answer.verdict),
                escape(wording.visible(answer.says[0])) + more,
            )
    return lines


def summary(made: Matrix) -> Text:
    counts = [(verdict, sum(row.verdict is verdict for row in made.rows)) for verdict in WORD]
    told = ", ".join(f"{count} {WORD[verdict]}" for verdict, count in counts if count)
    return Text(
        f"{made.since:%Y-%m-%d} to {made.until:%Y-%m-%d}, {wording.plural(made.drills, 'drill')}:"
        f" {len(made.rows)} clauses, {told}"
    )


def _word(verdict: Verdict) -> Text:
    return Text(f"{wording.SYMBOL[verdict]} {WORD[verdict]}", style=STYLE[verdict])
