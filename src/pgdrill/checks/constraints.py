"""constraints: every validated constraint holds in the data itself.

Why:    a constraint is checked when a row is written and never again; a restored page that is older than its
        neighbours, a commit log gone wrong, or an index that missed a row leaves orphans and duplicates.
Reads:  every CHECK and NOT NULL in one scan of its table, every foreign key by an anti-join, every unique
        index by grouping its keys; all from the heap, not through the index that may be wrong.
Limits: constraints that are NOT VALID in production promise nothing and are counted, not checked. Exclusion
        constraints rest on their index. CHECKs of domains are not evaluated again. CHECK expressions call the
        functions that production calls for every row it writes.
Source: PostgreSQL documentation, 5.4 Constraints; 53.13 pg_constraint.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

import psycopg
from psycopg import errors, sql
from pydantic import Field

from pgdrill.checks.access import readable, unforced
from pgdrill.checks.bracket import counted, named
from pgdrill.checks.check import Case, Check
from pgdrill.checks.parallel import MARGIN, sessions_for, spread
from pgdrill.content.fingerprint import CATALOG
from pgdrill.content.relations import qualified
from pgdrill.content.unread import Unread, unread
from pgdrill.database import Connection, Server, quoted
from pgdrill.model import Damage, Fact, Judgement, Model, Verdict

LISTED = 20
# Pages that take longer to check than a session to open: every unique index and foreign key reads them again.
WORTH = 512
# PostgreSQL takes 100 arguments for a function.
ARGUMENTS = 100

_RULES = """
SELECT json_build_object('schema', n.nspname, 'name', c.relname, 'parted', false,
                         'hidden', c.relrowsecurity AND c.relforcerowsecurity),
       coalesce((SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped
                   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n'
                                   AND NOT k.convalidated AND k.conkey[1] = a.attnum)), '[]'),
       coalesce((SELECT json_agg(json_build_array(k.conname, pg_get_expr(k.conbin, k.conrelid))
                                 ORDER BY k.conname)
                 FROM pg_constraint k
                 WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY c.relpages DESC, n.nspname, c.relname
"""

_FOREIGN_KEYS = """
SELECT k.conname, k.confmatchtype::text,
       json_build_object('schema', n.nspname, 'name', c.relname, 'parted', c.relkind = 'p',
                         'hidden', c.relrowsecurity AND c.relforcerowsecurity),
       json_build_object('schema', fn.nspname, 'name', f.relname, 'parted', f.relkind = 'p',
                         'hidden', f.relrowsecurity AND f.relforcerowsecurity),
       (SELECT json_agg(json_build_array(
                   a.attname, fa.attname, opn.nspname, op.oprname,
                   CASE WHEN a.attcollation <> fa.attcollation THEN json_build_array(coln.nspname, col.collname) END
               ) ORDER BY u.ord)
        FROM unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u (key, fkey, op, ord)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.key
        JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.fkey
        JOIN pg_operator op ON op.oid = u.op JOIN pg_namespace opn ON opn.oid = op.oprnamespace
        LEFT JOIN pg_collation col ON col.oid = fa.attcollation
        LEFT JOIN pg_namespace coln ON coln.oid = col.collnamespace)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE k.contype = 'f' AND k.convalidated AND k.conparentid = 0 AND c.relpersistence = 'p'
ORDER BY c.relpages DESC, n.nspname, c.relname, k.conname
"""

_UNIQUE = """
SELECT ic.relname,
       json_build_object('schema', n.nspname, 'name', c.relname, 'parted', false,
                         'hidden', c.relrowsecurity AND c.relforcerowsecurity),
       (SELECT json_agg(pg_get_indexdef(i.indexrelid, key, true) ORDER BY key)
        FROM generate_series(1, i.indnkeyatts) AS key),
       pg_get_expr(i.indpred, i.indrelid),
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indisvalid AND i.indisready AND c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY c.relpages DESC, n.nspname, c.relname, ic.relname
"""

_SUMMARY = """
SELECT (SELECT count(*) FROM pg_constraint WHERE NOT convalidated AND conparentid = 0),
       (SELECT count(*) FROM pg_constraint WHERE contype = 'x'),
       (SELECT coalesce(sum(greatest(relpages, 0)), 0) FROM pg_class WHERE relkind IN ('r', 'm'))
"""


class Rule(Model):
    """`violations` counts rows, or groups of equal keys; None until it is known."""

    kind: str
    violations: int | None = None
    problem: Unread | None = None

    @property
    def pending(self) -> bool:
        return self.violations is None and self.problem is None


class Rules(Model):
    """`promise_nothing` counts constraints that are NOT VALID, `exclusions` those that rest on an index."""

    unread: Unread | None = None
    rules: dict[str, Rule] = Field(default_factory=dict)
    promise_nothing: int = 0
    exclusions: int = 0

    @property
    def pending(self) -> bool:
        return any(rule.pending for rule in self.rules.values())


class ConstraintFact(Fact):
    databases: dict[str, Rules] = Field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One scan; its row counts the violations of `rules`, name and kind, in their order."""

    rules: tuple[tuple[str, str], ...]
    statement: sql.Composed
    hidden: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    schema: str
    name: str
    parted: bool
    hidden: bool

    def __str__(self) -> str:
        return qualified(self.schema, self.name)

    def source(self) -> sql.Composable:
        """A foreign key of a partitioned table means its partitions; other heirs keep rows of their own."""
        return sql.SQL("{}{}").format(sql.SQL("" if self.parted else "ONLY "), quoted(self.schema, self.name))

    def names(self) -> list[tuple[str, str]]:
        return [(self.schema, self.name)] if self.hidden else []


def measure(server: Server, case: Case) -> ConstraintFact:
    earlier = case.resumed(ConstraintFact)
    names = server.databases()
    done = dict(earlier.databases) if earlier else {}
    for name in names:
        known = done.get(name)
        if known and not known.pending:
            continue
        if server.clock.remaining() < 2 * MARGIN:
            break
        with readable(server, name) as session:
            done[name] = _measure(server, session, name, known)
    complete = all(name in done and not done[name].pending for name in names)
    return ConstraintFact(complete=complete, databases=done)


def _measure(server: Server, session: Connection, database: str, known: Rules | None) -> Rules:
    try:
        jobs = [*_scans(session), *_foreign_keys(session), *_uniques(session)]
        promise_nothing, exclusions, pages = session.execute(_SUMMARY).fetchall()[0]
        sessions = sessions_for(session, pages, worth=WORTH)
    except psycopg.Error as error:
        return Rules(unread=unread(error, session))
    rules = dict(known.rules) if known else {}
    for job in jobs:
        for name, kind in job.rules:
            rules.setdefault(name, Rule(kind=kind))
    left = deque(job for job in jobs if any(rules[name].pending for name, _ in job.rules))
    lock = Lock()

    def check(session: Connection, job: Job, final: bool) -> None:
        server.progress(f"{database}: {job.rules[0][0]}, {len(left)} to go")
        counts: list[int] | None = None
        problem = None
        try:
            with unforced(server, session, job.hidden):
                counts = _count(session, job, trusted=server.may_change)
        except psycopg.Error as error:
            problem = unread(error, session)
            if problem.canceled and not final:
                return
        with lock:
            for at, (name, kind) in enumerate(job.rules):
                rules[name] = Rule(kind=kind, violations=counts[at] if counts else None, problem=problem)

    spread(server, database, left, check, sessions=sessions)
    return Rules(rules=rules, promise_nothing=promise_nothing, exclusions=exclusions)


def _count(session: Connection, job: Job, *, trusted: bool) -> list[int]:
    """Run a job's statement. On a leased copy a function that does not name its schemas finds `public`.

    Elsewhere it does not: whoever may create functions there could have one run by the role that examines.
    """
    try:
        with session.transaction():
            return list(session.execute(job.statement).fetchall()[0])
    except (errors.UndefinedFunction, errors.UndefinedTable, errors.UndefinedObject):
        if not trusted:
            raise
    with session.transaction(force_rollback=True):
        session.execute("SET LOCAL search_path = public")
        return list(session.execute(job.statement).fetchall()[0])


def _scans(session: Connection) -> Iterator[Job]:
    """One scan a table for its NOT NULLs and CHECKs, in FILTERs: a WHERE would be folded by the very rule."""
    for given, not_null, checks in session.execute(_RULES).fetchall():
        table = Table(**given)
        rules: list[tuple[str, str]] = []
        filters: list[sql.Composable] = []
        if not_null:
            columns = [sql.Identifier(column) for column in not_null]
            nulls = [
                sql.SQL("num_nulls({}) > 0").format(sql.SQL(", ").join(columns[at : at + ARGUMENTS]))
                for at in range(0, len(columns), ARGUMENTS)
            ]
            rules.append((f"{table}: columns", "not null"))
            filters.append(sql.SQL(" OR ").join(nulls))
        for name, expression in checks:
            rules.append((f"{table}: {qualified(name)}", "check"))
            filters.append(sql.SQL(f"({expression}) IS FALSE"))
        if rules:
            counts = (sql.SQL("count(*) FILTER (WHERE {})").format(one) for one in filters)
            statement = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(counts), table.source())
            yield Job(tuple(rules), statement, table.names())


def _foreign_keys(session: Connection) -> Iterator[Job]:
    for name, match, given, referenced, keys in session.execute(_FOREIGN_KEYS).fetchall():
        table, other = Table(**given), Table(**referenced)
        present = (sql.SQL("f.{} IS NOT NULL").format(sql.Identifier(key[0])) for key in keys)
        statement = sql.SQL(
            "SELECT count(*) FROM {} AS f WHERE ({}) AND NOT EXISTS (SELECT FROM {} AS p WHERE {})"
        ).format(
            table.source(),
            sql.SQL(" OR " if match == "f" else " AND ").join(present),
            other.source(),
            sql.SQL(" AND ").join(_equal(*key) for key in keys),
        )
        rule = (f"{table}: {qualified(name)}", "foreign key")
        yield Job((rule,), statement, table.names() + other.names())


def _equal(column: str, other: str, schema: str, operator: str, collation: list[str] | None) -> sql.Composed:
    """Compare as the constraint does: with its own operator, under the referenced column's collation."""
    collate = sql.SQL(" COLLATE {}").format(quoted(*collation)) if collation else sql.SQL("")
    return sql.SQL("p.{} OPERATOR({}.{}) f.{}{}").format(
        sql.Identifier(other), quoted(schema), sql.SQL(operator), sql.Identifier(column), collate
    )


def _uniques(session: Connection) -> Iterator[Job]:
    for name, given, keys, predicate, nulls_equal in session.execute(_UNIQUE).fetchall():
        table = Table(**given)
        where = [f"({key}) IS NOT NULL" for key in keys if not nulls_equal] + [predicate or "true"]
        statement = sql.SQL(
            "SELECT count(*) FROM (SELECT FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1) AS doubled"
        ).format(table.source(), sql.SQL(" AND ".join(where)), sql.SQL(", ".join(f"({key})" for key in keys)))
        yield Job(((f"{table}: {qualified(name)}", "unique"),), statement, table.names())


def judge(fact: ConstraintFact, _case: Case) -> Judgement:
    damage: list[Damage] = []
    unproved: list[Damage] = []
    for database, one in fact.databases.items():
        found: list[tuple[str, str, bool]] = []
        if one.unread:
            found.append((CATALOG, str(one.unread), one.unread.damage))
        for name, rule in one.rules.items():
            if rule.problem:
                # A table that cannot be read is for `rows` and `heap` to report; here nothing is proved.
                found.append((name, str(rule.problem), False))
            elif rule.violations:
                one_of, many = (
                    ("group of equal keys", "groups of equal keys") if rule.kind == "unique" else ("row", "")
                )
                found.append(
                    (name, f"{rule.kind} violated by {counted(rule.violations, one_of, many)}", True)
                )
        for name, what, broken in found:
            (damage if broken else unproved).append(Damage(database=database, object=name, what=what))

    verdict, hint = Verdict.PASSED, ""
    if damage:
        verdict = Verdict.FAILED
        reason = named(damage)
        catalog = any(one.unread and one.unread.damage for one in fact.databases.values())
        hint = (
            "the catalog itself is damaged: restore another recovery point; see what `heap` says of pg_catalog"
            if catalog
            else "check the same constraint in production: if it holds there, the backup is wrong; if not, production is"
        )
    elif unproved:
        verdict = Verdict.INCONCLUSIVE
        reason = f"not checked: {named(unproved)}"
        hint = _way_on(fact)
    elif not fact.complete:
        verdict = Verdict.INCONCLUSIVE
        reason = "the time ended before every constraint was checked"
        hint = "give the examination more time"
    else:
        count = sum(len(one.rules) for one in fact.databases.values())
        reason = f"{counted(count, 'constraint')} checked against the data itself"
    return Judgement(
        verdict=verdict,
        reason=reason,
        hint=hint,
        coverage=_coverage(fact),
        damage=tuple((damage or unproved)[:LISTED]),
        damaged=len(damage),
    )


def _way_on(fact: ConstraintFact) -> str:
    """Say what to do about rules that could not be checked, by what kept them."""
    rules = [rule for one in fact.databases.values() for rule in one.rules.values()]
    if any(rule.problem and rule.problem.damage for rule in rules):
        return "see what `heap` and `rows` say of the tables: what cannot be read cannot be checked"
    return "see that the master user may read the tables, and give the examination more time"


def _coverage(fact: ConstraintFact) -> str:
    rules = [rule for one in fact.databases.values() for rule in one.rules.values()]
    kinds = Counter(rule.kind for rule in rules if rule.violations is not None)
    done = sum(kinds.values())
    parts = [f"checked {done} of {len(rules)}"]
    if kinds:
        parts[0] += " (" + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) + ")"
    if count := sum(one.promise_nothing for one in fact.databases.values()):
        parts.append(f"{counted(count, 'constraint')} NOT VALID, which promises nothing")
    if count := sum(one.exclusions for one in fact.databases.values()):
        parts.append(f"{counted(count, 'exclusion constraint')}, resting on the index alone")
    return "; ".join(parts)


CHECK = Check("constraints", measure, judge, ConstraintFact)
