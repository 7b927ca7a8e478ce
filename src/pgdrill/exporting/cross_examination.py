"""Cross-examination: an export and a restored copy of the same snapshot, two witnesses that RDS made apart.

Why:    an export says COMPLETE although tables are missing, and a restored copy can be short of rows; where both
        tell the same, neither is to be doubted, and where they differ one of them is wrong.
Reads:  every Parquet file of the export, and every table of the copy once. The sums of the export are compared
        inside the server, so that no value and no sum of values leaves it: counts and agreements do.
Limits: a table is compared by its count, its key and one sum a column, so two wrongs that cancel out in all of
        these are not found. AWS does not say how it writes types that Parquet has none for, such as arrays and
        ranges: a difference in these alone is inconclusive. Materialized views, foreign tables, unlogged tables
        and large objects are in no export.
Source: RDS User Guide, "Exporting DB snapshot data to Amazon S3".
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial

import psycopg
from pydantic import Field

from pgdrill.checks import access
from pgdrill.content.relations import qualified
from pgdrill.content.unread import unread
from pgdrill.database import Server
from pgdrill.errors import Broken
from pgdrill.exporting import server_sums
from pgdrill.exporting.exported import Exported
from pgdrill.exporting.parquet_types import Sums
from pgdrill.exporting.server_sums import Table
from pgdrill.model import Damage, Fact, Finding, Judgement, Model, Verdict

Files = Callable[[str], Iterable[bytes]]
SHOWN = 20


class Compared(Model):
    """One table on both sides. `differ` are columns, and `(key)`, whose counts or sums do not agree.

    `doubtful` are those of them of which AWS does not say how it writes them. `reason` says why nothing was compared.
    """

    database: str
    table: str
    rows_exported: int = 0
    rows_restored: int = 0
    differ: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    reason: str = ""
    row_security: bool = False


class ExportFact(Fact):
    """`compared` is by `database.schema.table`, as in an export.

    `absent` are tables of the copy that the export does not list, with the reason where it gives one; `unknown` are
    listed and not in the copy.
    """

    task: str
    compared: dict[str, Compared] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def measure(server: Server, told: Exported, files: Files, earlier: ExportFact | None = None) -> ExportFact:
    """Compare every table of the copy with its files, as far as the time goes; `earlier` is continued.

    `files` gives the Parquet files in a table's folder.

    Raises:
        NotRunnable: what reads Parquet is not installed.
        Unavailable: the server or the store did not answer.
    """
    # Here and not above, since it takes 0.4 s that no other command needs.
    from pgdrill.exporting import parquet  # noqa: PLC0415

    parquet.require()
    compared = dict(earlier.compared) if earlier else {}
    found = [table for name in server.databases() for table in server_sums.tables(server, name)]
    folders = [table.folder for table in found]
    unwritten = told.unwritten()
    absent = {
        table.target: unwritten.get(table.target, "not listed")
        for table in found
        if table.target in unwritten or table.target not in told.tables
    }
    todo = [table for table in found if table.target not in absent and table.target not in compared]
    for table in todo:
        if server.clock.remaining() < 5:
            break
        server.progress(f"{table.database} {qualified(table.schema, table.name)}")
        alone = folders.count(table.folder) == 1
        compared[table.target] = (
            _compare(server, table, partial(parquet.sums, files(table.folder)))
            if alone
            else _none(table, "its files lie in one folder with those of another table")
        )
    return ExportFact(
        complete=all(table.target in compared for table in todo),
        task=told.task,
        compared=compared,
        absent=absent,
        unknown=tuple(sorted(set(told.tables) - {table.target for table in found})),
        warnings=told.warnings,
    )


def _compare(server: Server, table: Table, summed: Callable[..., Sums]) -> Compared:
    """Compare a table with its files; `summed` takes the kinds of its columns and its key."""
    kinds = {name: written.kind for name, written in table.mappings().items()}
    try:
        sums = summed(kinds, table.key())
    except Broken as error:
        return _none(table, error.message)
    with (
        access.readable(server, table.database) as session,
        access.unforced(server, session, table.forced),
    ):
        try:
            rows, differ = server_sums.differing(session, table, sums)
        except psycopg.Error as error:
            return _none(table, f"the copy cannot be read: {unread(error, session)}")
    mappings = table.mappings()
    return Compared(
        database=table.database,
        table=qualified(table.schema, table.name),
        rows_exported=sums.rows,
        rows_restored=rows,
        differ=(*differ, *sorted(sums.unknown)),
        doubtful=tuple(name for name in differ if name in mappings and not mappings[name].sure),
        row_security=table.row_security,
    )


def _none(table: Table, reason: str) -> Compared:
    return Compared(database=table.database, table=qualified(table.schema, table.name), reason=reason)


# --------------------------------------------------------------------------------------------- judging


def judge(fact: ExportFact, left_out: Collection[str] = ()) -> tuple[Finding, ...]:
    """Return the findings: which tables are there, how many rows, and whether keys and sums agree.

    `left_out` are tables that the plan does not ask an export for.
    """
    absent = {name: why for name, why in fact.absent.items() if name not in left_out}
    compared = {name: one for name, one in fact.compared.items() if name not in left_out}
    fact = fact.model_copy(update={"absent": absent, "compared": compared})
    return (
        Finding(check="export_tables", **_tables(fact).model_dump()),
        Finding(check="export_rows", **_rows(fact).model_dump()),
        Finding(check="export_values", **_values(fact).model_dump()),
    )


def _tables(fact: ExportFact) -> Judgement:
    coverage = f"{len(fact.compared) + len(fact.absent)} tables of the copy"
    damage = [_damage(name, f"not in the export: {reason}") for name, reason in sorted(fact.absent.items())]
    damage += [_damage(name, "in the export and not in the copy") for name in fact.unknown]
    if damage:
        return _told(
            Verdict.FAILED,
            "the export and the copy do not hold the same tables",
            damage,
            hint="a table without SELECT for the master user, or with a comma, brace, bracket, equals sign or space in a"
            " column's name, is skipped by RDS",
            coverage=coverage,
        )
    if fact.warnings:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"RDS warned of the export: {fact.warnings[0]}",
            hint="look the reason up in the RDS User Guide, and start the export again",
            coverage=coverage,
        )
    return Judgement(
        verdict=Verdict.PASSED, reason="the export and the copy hold the same tables", coverage=coverage
    )


def _rows(fact: ExportFact) -> Judgement:
    hidden = any(one.row_security and one.rows_exported < one.rows_restored for one in fact.compared.values())
    return _judged(
        fact,
        [
            Damage(
                database=one.database,
                object=one.table,
                what=f"{one.rows_exported} rows in the export, {one.rows_restored} in the copy",
            )
            for one in fact.compared.values()
            if not one.reason and one.rows_exported != one.rows_restored
        ],
        "number of rows",
        hint="row security hides rows from the master user, with whom RDS reads" if hidden else "",
    )


def _values(fact: ExportFact) -> Judgement:
    certain: list[Damage] = []
    doubtful: list[Damage] = []
    for one in fact.compared.values():
        if one.differ:
            sure = [name for name in one.differ if name not in one.doubtful]
            told = Damage(
                database=one.database, object=one.table, what=f"differ: {', '.join(sure or one.differ)}"
            )
            (certain if sure else doubtful).append(told)
    if not certain and doubtful:
        return _told(
            Verdict.INCONCLUSIVE,
            "columns differ of which AWS does not say how it writes them",
            doubtful,
            hint="compare one such column by hand; once its form is known it can be added to parquet_types.py",
            coverage=_coverage(fact),
        )
    return _judged(fact, certain, "keys and sums")


def _judged(fact: ExportFact, damage: list[Damage], what: str, *, hint: str = "") -> Judgement:
    left = [one for one in fact.compared.values() if one.reason]
    if damage:
        return _told(
            Verdict.FAILED,
            f"the {what} of the export and of the copy differ",
            damage,
            hint=hint
            or "one of the two is not what the snapshot was: a drill of it that passes convicts the export, one that"
            " fails the copy",
            coverage=_coverage(fact),
        )
    if left:
        return _told(
            Verdict.INCONCLUSIVE,
            "not everything could be compared",
            [Damage(database=one.database, object=one.table, what=one.reason) for one in left],
            hint="what each table says below is why",
            coverage=_coverage(fact),
        )
    if not fact.complete or not fact.compared:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason="the time ended before all was compared"
            if fact.compared
            else "there was nothing to compare",
            hint="give it more with --budget" if fact.compared else "see what the export and the copy hold",
            coverage=_coverage(fact),
        )
    return Judgement(
        verdict=Verdict.PASSED,
        reason=f"the {what} of the export and of the copy agree",
        coverage=_coverage(fact),
    )


def _coverage(fact: ExportFact) -> str:
    done = [one for one in fact.compared.values() if not one.reason]
    rows = sum(one.rows_restored for one in done)
    return f"{len(done)} of {len(fact.compared) + len(fact.absent)} tables, {rows:,} rows"


def _told(verdict: Verdict, reason: str, damage: list[Damage], *, hint: str, coverage: str) -> Judgement:
    first = damage[0]
    return Judgement(
        verdict=verdict,
        reason=f"{reason}: {first.object} ({first.what})"
        + (f" and {len(damage) - 1} more" if len(damage) > 1 else ""),
        hint=hint,
        coverage=coverage,
        damage=tuple(damage[:SHOWN]),
        damaged=len(damage),
    )


def _damage(target: str, what: str) -> Damage:
    database, _, name = target.partition(".")
    return Damage(database=database, object=name, what=what)
