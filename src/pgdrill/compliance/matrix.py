"""The matrix: each clause, what the evidence of a period shows for it, when, by which drills. Gaps are shown as gaps.

`read` reads the store; all else is pure. Renders one page that stands alone, without script or outside request.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from pgdrill import seal
from pgdrill.aws.store import Store
from pgdrill.compliance.answers import Answer
from pgdrill.compliance.clauses import CLAUSES, Clause
from pgdrill.compliance.period import Drilled, Period
from pgdrill.evidence import archive, audit, wording
from pgdrill.evidence.audit import Verifier
from pgdrill.evidence.record import canonical
from pgdrill.model import Model, Moment, Verdict, worst
from pgdrill.plan import Plan

WORD = {Verdict.PASSED: "shown", Verdict.FAILED: "not met", Verdict.INCONCLUSIVE: "gap"}


class Row(Model):
    """One clause with the answers to what it demands, named as the demands are."""

    frame: str
    number: str
    says: str
    checked: bool
    verdict: Verdict
    answers: dict[str, Answer]

    @property
    def drills(self) -> tuple[str, ...]:
        return tuple(sorted({drill for answer in self.answers.values() for drill in answer.drills}))


class Matrix(Model):
    since: Moment
    until: Moment
    databases: tuple[str, ...]
    drills: int
    rows: tuple[Row, ...]

    @property
    def verdict(self) -> Verdict:
        return worst([row.verdict for row in self.rows])


def read(store: Store, plan: Plan, since: datetime, until: datetime, verifier: Verifier | None) -> Period:
    """Gather the evidence of a period from one store, to which both cells' evidence comes.

    All of the store is gone through as `pgdrill evidence verify` does, with the keys that `verifier` trusts.
    """
    names = tuple(database.name for database in plan.databases)
    return Period(
        since=since,
        until=until,
        databases=names,
        every=plan.drill.every,
        copies_every=plan.drill.dr_every,
        points_every=plan.points.every,
        drills=tuple(_drilled(store, since, until)),
        points={name: tuple(_points(store, name, since, until)) for name in names},
        broken={name: tuple(audit.broken(store, name, verifier)) for name in names},
        signed=verifier is not None,
    )


def _drilled(store: Store, since: datetime, until: datetime) -> Iterator[Drilled]:
    """Yield the drills that lie where they belong: elsewhere they are in no chain that is gone through."""
    found = {archive.key(one, archive.EVIDENCE): one for one in archive.within(store, since, until)}
    for place, evidence in found.items():
        if store.get(place) == canonical(evidence):
            yield Drilled(evidence=evidence, teardown=archive.load_teardown(store, evidence))


def _points(store: Store, database: str, since: datetime, until: datetime) -> Iterator[datetime]:
    for stored in seal.stored(store, database):
        if (
            stored.phase == "after"
            and not stored.point.startswith(seal.BETWEEN)
            and since <= stored.taken_at < until
        ):
            yield stored.taken_at


def matrix(period: Period, clauses: Sequence[Clause] = CLAUSES) -> Matrix:
    """Answer every clause from the evidence."""
    return Matrix(
        since=period.since,
        until=period.until,
        databases=period.databases,
        drills=sum(1 for _ in period.all()),
        rows=tuple(_row(clause, period) for clause in clauses),
    )


def _row(clause: Clause, period: Period) -> Row:
    answers = {demand.__name__: demand(period) for demand in clause.demands}
    return Row(
        frame=clause.frame,
        number=clause.number,
        says=clause.says,
        checked=clause.checked,
        verdict=worst([answer.verdict for answer in answers.values()]),
        answers=answers,
    )


def page(made: Matrix) -> str:
    """Render the matrix as one HTML page."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    frames = list(dict.fromkeys(row.frame for row in made.rows))
    return (
        _environment()
        .get_template("matrix.html.j2")
        .render(
            matrix=made,
            frames=[(frame, [row for row in made.rows if row.frame == frame]) for frame in frames],
            tally=[(verdict, sum(row.verdict is verdict for row in made.rows)) for verdict in WORD],
            style=style,
            style_digest=digest,
        )
    )


@cache
def _style() -> str:
    sheets = [
        resources.files("pgdrill.evidence").joinpath("templates/report.css"),
        resources.files("pgdrill.compliance").joinpath("templates/matrix.css"),
    ]
    return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pgdrill.compliance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: wording.visible(value) if type(value) is str else value,
    )
    environment.globals.update(WORD=WORD, SYMBOL=wording.SYMBOL, wording=wording)
    environment.filters["sentence"] = wording.sentence
    environment.filters["demand"] = lambda name: name.replace("_", " ")
    return environment
