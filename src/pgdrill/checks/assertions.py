"""assertions: what the plan says of its own data holds.

Why:    only the owner of the data knows what must be true of it: that yesterday's orders are there, that debits
        equal credits.
Reads:  the plan's own SQL, one query each, in a read-only transaction under the plan's time limit.
Limits: one row and one column of type boolean, smallint, integer or bigint, so that no row's content can end up in
        evidence; cast sums to bigint. Names must be qualified, as search_path is empty. An error is kept as its class
        and code alone. Where the role may not read a table whole, the query errors instead of counting less.
Source: PostgreSQL documentation, DECLARE (takes one SELECT or VALUES, and nothing that writes), row_security.
"""

import psycopg
from psycopg import sql

from pgdrill.checks import access
from pgdrill.checks.bracket import SHOWN
from pgdrill.checks.check import Case, Check
from pgdrill.database import Connection, Server
from pgdrill.errors import Unavailable
from pgdrill.model import Damage, Fact, Judgement, Model, Verdict
from pgdrill.plan import Assertion

# Source: src/include/catalog/pg_type.dat: bool, int8, int2, int4.
_TYPES = frozenset({16, 20, 21, 23})


class Result(Model):
    """`value` is None with `error` set, which says why there is none in words or as `Class (SQLSTATE)`."""

    value: bool | int | None = None
    error: str = ""


class AssertionsFact(Fact):
    results: dict[str, Result]


def measure(server: Server, case: Case) -> AssertionsFact:
    """Answer each of the plan's assertions; continue with those that the last call had no time for."""
    earlier = case.resumed(AssertionsFact)
    results = dict(earlier.results) if earlier else {}
    for assertion in case.checks.assertions:
        if assertion.name in results:
            continue
        if server.clock.remaining() < assertion.timeout.total_seconds() and results:
            return AssertionsFact(complete=False, results=results)
        server.progress(f"assertion {assertion.name}")
        results[assertion.name] = _answer(server, assertion)
    return AssertionsFact(results=results)


def _answer(server: Server, assertion: Assertion) -> Result:
    try:
        with access.readable(server, assertion.database) as session:
            return _ask(session, assertion)
    except psycopg.Error as error:
        return Result(error=f"{type(error).__name__} ({error.sqlstate})")
    except Unavailable as error:
        return Result(error=type(error).__name__)


def _ask(session: Connection, assertion: Assertion) -> Result:
    limit = min(int(assertion.timeout.total_seconds() * 1000), _current_limit(session))
    with session.transaction():
        session.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(limit)))
        # A cursor takes one query, runs no other statement, and hands over no more rows than are asked for.
        with session.cursor("assertion") as cursor:
            cursor.execute(sql.SQL(assertion.sql))
            columns = cursor.description or []
            if len(columns) != 1:
                return Result(error=f"{len(columns)} columns instead of one")
            if columns[0].type_code not in _TYPES:
                return Result(error=f"type {columns[0].type_display} instead of boolean or an integer")
            rows = cursor.fetchmany(2)
    if len(rows) != 1:
        return Result(error="no row instead of one" if not rows else "more than one row")
    value = rows[0][0]
    return Result(value=value) if value is not None else Result(error="NULL instead of a value")


def judge(fact: AssertionsFact, case: Case) -> Judgement:
    asked = case.checks.assertions
    if not asked:
        return Judgement(verdict=Verdict.NOT_ASKED, reason="the plan has no assertions")
    open_ = [(one, fact.results.get(one.name, Result(error="was not asked"))) for one in asked]
    wrong = [
        (one, result.value)
        for one, result in open_
        if result.value is not None and not _holds(one, result.value)
    ]
    unanswered = [(one, result.error) for one, result in open_ if result.value is None]
    coverage = f"{len(asked) - len(unanswered)} of {len(asked)} assertions answered"
    if wrong:
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"assertion {wrong[0][0].name!r} does not hold: {wrong[0][1]}, expected {_expected(wrong[0][0])}",
            hint="run its query in the copy; data is missing or wrong, or the assertion is out of date",
            coverage=coverage,
            damage=tuple(
                Damage(database=one.database, object=one.name, what=f"{value}, expected {_expected(one)}")
                for one, value in wrong[:SHOWN]
            ),
            damaged=len(wrong),
        )
    if unanswered:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"assertion {unanswered[0][0].name!r} has no answer: {unanswered[0][1]}",
            hint="run its query by hand; it must return one boolean or integer from qualified names in its time",
            coverage=coverage,
        )
    return Judgement(verdict=Verdict.PASSED, reason="every assertion of the plan holds", coverage=coverage)


def _holds(assertion: Assertion, value: bool | int) -> bool:
    if assertion.expect is not None:
        # True is not 1 here: an assertion that counts where it should compare is a mistake.
        return type(value) is type(assertion.expect) and value == assertion.expect
    low, high = assertion.at_least, assertion.at_most
    return not isinstance(value, bool) and (low is None or value >= low) and (high is None or value <= high)


def _expected(assertion: Assertion) -> str:
    if assertion.expect is not None:
        return str(assertion.expect)
    bounds = (("at least", assertion.at_least), ("at most", assertion.at_most))
    return " and ".join(f"{word} {value}" for word, value in bounds if value is not None)


def _current_limit(session: Connection) -> int:
    row = session.execute(
        "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'"
    ).fetchone()
    return int(row[0]) if row else 0


CHECK = Check("assertions", measure, judge, AssertionsFact)
