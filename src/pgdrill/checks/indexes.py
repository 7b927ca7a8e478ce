"""indexes: every B-tree is in order, and finds every row of its table.

Why:    a query through a wrong index returns wrong answers without an error: after a changed collation, a
        lost write, a bug; a restore brings the index back as it was.
Reads:  amcheck's `bt_index_check` over every B-tree, of TOAST and system catalogs too, with `heapallindexed`
        unless the plan turns it off; uniqueness with it from PostgreSQL 17 on, before that `constraints` looks
        for duplicates. That finds rows that an index lacks. For rows that the table lacks (a page of zeros, a
        file cut short) the keys of its smallest index are counted against its rows. Where amcheck is refused,
        the keys of every index, read through it alone, are counted and summed against those in the table.
Limits: GIN (before PostgreSQL 18), GiST, SP-GiST, BRIN and hash indexes cannot be checked; coverage counts
        them. Without amcheck, indexes on expressions and those of catalogs and TOAST cannot either. An index
        marked invalid is used by no query; it is told, and compared with production by `catalog`. A row that
        the table lacks shows only where its page was marked all-visible, as VACUUM does.
Source: PostgreSQL documentation, F.1 amcheck.
"""

from collections import Counter, deque
from collections.abc import Iterator
from threading import Lock

import psycopg
from psycopg import sql
from pydantic import Field

from pgdrill.checks.access import Access, opened
from pgdrill.checks.agreement import Target, counts, sums
from pgdrill.checks.bracket import counted, named
from pgdrill.checks.check import Case, Check
from pgdrill.checks.parallel import MARGIN, sessions_for, spread
from pgdrill.content.fingerprint import CATALOG
from pgdrill.content.relations import Relation, relations
from pgdrill.content.unread import Unread, unread
from pgdrill.database import Connection, Server
from pgdrill.model import Damage, Fact, Judgement, Model, Verdict

LISTED = 20
# Indexes of at most so many pages share round trips, so many at a time: most are of catalogs, and empty.
SMALL = 64
BATCH = 50
# Pages of indexes that take longer to check than a session to open; amcheck looks every row up.
WORTH = 512
_REINDEX = "check the same indexes in production with pg_amcheck --heapallindexed; REINDEX CONCURRENTLY mends them there"
_COUNT = (
    "rows may be missing: restore an older recovery point, and count these tables in production;"
    " a REINDEX before that would hide the loss"
)
INVALID = "marked invalid"
SYSTEM = "of a catalog or TOAST, without amcheck"

_INDEXES = """
SELECT c.oid, n.nspname, c.relname, i.indrelid, am.amname, i.indisvalid AND i.indisready AND i.indislive,
       pg_relation_size(c.oid) / current_setting('block_size')::bigint,
       CASE WHEN i.indexprs IS NULL THEN
           (SELECT array_agg(a.attname ORDER BY k.ord)
            FROM unnest(i.indkey[:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, ord)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
       END,
       pg_get_expr(i.indpred, i.indrelid),
       t.relpages < 8192 OR t.relallvisible * 2 > t.relpages
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = c.relam
WHERE c.relkind = 'i' AND c.relpersistence <> 't'
ORDER BY pg_relation_size(c.oid) DESC, n.nspname COLLATE "C", c.relname COLLATE "C"
"""


class Index(Model):
    """`how` it was checked: with `amcheck`, by `sums` of its keys, or `not` at all, as `why` tells."""

    pages: int
    how: str = ""
    why: str = ""
    problem: Unread | None = None
    mismatch: str = ""

    def broken(self, name: str) -> bool:
        """Whether the index itself is wrong; where its table is damaged, it is merely not checked."""
        if not (self.problem and self.problem.damage):
            return bool(self.mismatch)
        blamed = self.problem.relation
        # amcheck writes the name alone and never quotes it; elsewhere it is as in SQL.
        quoted_alone = blamed.replace('"', '""')
        return not blamed or name == blamed or name.endswith((f".{blamed}", f'."{quoted_alone}"'))


class Indexes(Model):
    unread: Unread | None = None
    indexes: dict[str, Index] = Field(default_factory=dict)

    @property
    def pending(self) -> bool:
        return any(not index.how for index in self.indexes.values())


class IndexFact(Fact):
    databases: dict[str, Indexes] = Field(default_factory=dict)


def measure(server: Server, case: Case) -> IndexFact:
    earlier = case.resumed(IndexFact)
    names = server.databases()
    done = dict(earlier.databases) if earlier else {}
    for name in names:
        known = done.get(name)
        if known and not known.pending:
            continue
        if server.clock.remaining() < 2 * MARGIN:
            break
        with opened(server, name) as access:
            done[name] = _Pass(server, case, name, access, known).run()
    complete = all(name in done and not done[name].pending for name in names)
    return IndexFact(complete=complete, databases=done)


class _Pass:
    """One call's pass over one database's indexes, the largest first."""

    def __init__(self, server: Server, case: Case, name: str, access: Access, known: Indexes | None) -> None:
        self.server = server
        self.name = name
        self.access = access
        self.heapallindexed = case.checks.heapallindexed
        self.indexes = dict(known.indexes) if known else {}
        self.tables: dict[int, Relation] = {}
        self.there: set[str] = set()
        self.counted: dict[int, int] = {}
        self.jobs: deque[list[Target]] = deque()
        self.left = 0
        self.lock = Lock()

    def run(self) -> Indexes:
        refused = self.access.damage
        sessions = 1
        try:
            targets = self.plan(self.access.session)
            self.left = len(targets)
            self.jobs.extend(self.grouped(targets))
            sessions = sessions_for(self.access.session, sum(target.pages for target in targets), worth=WORTH)
        except psycopg.Error as error:
            refused = unread(error, self.access.session)
        spread(self.server, self.name, self.jobs, self.do, sessions=sessions)
        return Indexes(unread=refused, indexes=self.indexes)

    def plan(self, session: Connection) -> list[Target]:
        """Note every index; return those that are to be checked, the largest first."""
        targets = []
        self.tables = {relation.oid: relation for relation in relations(session)}
        schema = self.access.schema
        self.there = {
            name
            for name, arguments in (
                ("bt_index_check", "regclass, boolean, boolean"),
                ("gin_index_check", "regclass"),
            )
            if schema
            and session.execute(
                "SELECT to_regprocedure(format('%%I.%%I(%%s)', %s::text, %s::text, %s::text)) IS NOT NULL",
                (schema, name, arguments),
            ).fetchall()[0][0]
        }
        for row in session.execute(_INDEXES):
            target = Target(*row)
            index = self.indexes.setdefault(str(target), Index(pages=target.pages))
            if why := self.uncheckable(target):
                self.indexes[str(target)] = index.model_copy(update={"how": "not", "why": why})
                continue
            if (
                target.table in self.tables
                and target.method == "btree"
                and target.cheap
                and not target.predicate
            ):
                # In this order the last one is the smallest, which is the one that a count goes through.
                self.counted[target.table] = target.oid
            if not index.how:
                targets.append(target)
        return targets

    def grouped(self, targets: list[Target]) -> Iterator[list[Target]]:
        """Group small indexes that amcheck can read; a partial one may belong to a table of any size."""
        small: list[Target] = []
        for target in targets:
            table = self.tables.get(target.table)
            if not self.access.schema or target.pages > SMALL or target.predicate or (table and table.hidden):
                yield [target]
                continue
            small.append(target)
            if len(small) == BATCH:
                yield small
                small = []
        if small:
            yield small

    def uncheckable(self, target: Target) -> str:
        if not target.valid:
            return INVALID
        if target.method == "gin" and "gin_index_check" in self.there:
            return ""
        if target.method != "btree":
            return target.method
        if self.access.schema:
            return ""
        if target.table not in self.tables:
            return SYSTEM
        return "" if target.keys else "on an expression, without amcheck"

    def do(self, session: Connection, job: list[Target], final: bool) -> None:
        self.server.progress(f"{self.name}: index {job[0]}, {self.left} to go")
        if len(job) == 1:
            self.alone(session, job[0], final)
            return
        try:
            self.together(session, job)
        except psycopg.Error:
            # One bad index must not hide the others; what the session does not survive, the next one goes on after.
            self.jobs.extend([target] for target in job)

    def together(self, session: Connection, job: list[Target]) -> None:
        """Check many small indexes in a few round trips."""
        with session.pipeline():
            for answer in [session.execute(self.amcheck(target)) for target in job]:
                answer.fetchall()
        counted = [target for target in job if self.counted.get(target.table) == target.oid]
        mismatches: dict[int, str] = {}
        if counted:
            found = counts(self.server, session, [self.tables[target.table] for target in counted])
            mismatches = {target.oid: what for target, what in zip(counted, found, strict=True)}
        for target in job:
            self.note(
                target, Index(pages=target.pages, how="amcheck", mismatch=mismatches.get(target.oid, ""))
            )

    def alone(self, session: Connection, target: Target, final: bool) -> None:
        how, why, mismatch, problem = "amcheck" if self.access.schema else "sums", "", "", None
        try:
            if self.access.schema:
                session.execute(self.amcheck(target))
                if self.counted.get(target.table) == target.oid:
                    (mismatch,) = counts(self.server, session, [self.tables[target.table]])
            else:
                why, mismatch = sums(self.server, session, self.tables[target.table], target)
        except psycopg.Error as error:
            problem = unread(error, session)
            if problem.canceled and not final:
                return
        self.note(
            target,
            Index(pages=target.pages, how="not" if why else how, why=why, problem=problem, mismatch=mismatch),
        )

    def note(self, target: Target, index: Index) -> None:
        with self.lock:
            self.indexes[str(target)] = index
            self.left -= 1

    def amcheck(self, target: Target) -> sql.Composed:
        function = "gin_index_check" if target.method == "gin" else "bt_index_check"
        arguments: list[sql.Composable] = [sql.SQL("{}::oid::regclass").format(target.oid)]
        if target.method == "btree":
            arguments.append(sql.SQL("heapallindexed => {}").format(self.heapallindexed))
            if "bt_index_check" in self.there:
                arguments.append(sql.SQL("checkunique => true"))
        return sql.SQL("SELECT {}({})").format(self.access.function(function), sql.SQL(", ").join(arguments))


def judge(fact: IndexFact, case: Case) -> Judgement:
    found = [
        (database, name, index)
        for database, one in fact.databases.items()
        for name, index in one.indexes.items()
    ]
    damage: list[Damage] = []
    unproved: list[Damage] = []
    for database, one in fact.databases.items():
        if one.unread:
            entry = Damage(database=database, object=CATALOG, what=str(one.unread))
            (damage if one.unread.damage else unproved).append(entry)
    for database, name, index in found:
        if index.mismatch or index.problem:
            entry = Damage(database=database, object=name, what=index.mismatch or str(index.problem))
            (damage if index.broken(name) else unproved).append(entry)
    checked = [index for _, _, index in found if index.how in {"amcheck", "sums"} and not index.problem]

    verdict, hint = Verdict.PASSED, ""
    if damage:
        verdict = Verdict.FAILED
        reason = named(damage)
        hint = _COUNT if any(index.mismatch for _, _, index in found) else _REINDEX
    elif unproved:
        verdict = Verdict.INCONCLUSIVE
        reason = f"not checked: {named(unproved)}"
        hint = "give the examination more time, or set checks.heapallindexed to false"
        if any(index.problem and index.problem.damage for _, _, index in found):
            hint = "see what `heap` and `rows` say of the tables: an index of a damaged table proves nothing"
    elif not fact.complete:
        verdict = Verdict.INCONCLUSIVE
        reason = "the time ended before every index was checked"
        hint = "give the examination more time"
    elif not checked and any(index.why not in {"", INVALID, SYSTEM} for _, _, index in found):
        verdict = Verdict.INCONCLUSIVE
        reason = "no index of the database's own can be checked"
        hint = "see in the coverage why; where amcheck is refused, grant EXECUTE on its functions"
    else:
        agree = ", and agreeing with the tables" if case.checks.heapallindexed else ""
        reason = f"{counted(len(checked), 'index', 'indexes')} in order{agree}"
    return Judgement(
        verdict=verdict,
        reason=reason,
        hint=hint,
        coverage=_coverage(fact, checked),
        damage=tuple((damage or unproved)[:LISTED]),
        damaged=len(damage),
    )


def _coverage(fact: IndexFact, checked: list[Index]) -> str:
    every = [index for one in fact.databases.values() for index in one.indexes.values()]
    how = Counter(index.how for index in checked)
    parts = [f"checked {len(checked)} of {len(every)} indexes"]
    if how["sums"]:
        parts.append(f"{how['sums']} of them by sums of their keys, amcheck being refused")
    left_out = Counter(index.why for index in every if index.how == "not")
    if left_out:
        parts.append(
            "not checkable: " + ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
        )
    return "; ".join(parts)


CHECK = Check("indexes", measure, judge, IndexFact)
