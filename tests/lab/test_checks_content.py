"""The checks of content on real PostgreSQL: what they may read, where they go on, and what they say of damage.

The matrix holds every kind of sabotage against every check; here stands what it does not do.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgdrill.checks import constraints, heap, indexes, large_objects, rows, sweep
from pgdrill.checks.check import Case, Check
from pgdrill.database import Connection, Server
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.tls import Authority
from pgdrill.model import Fact, Judgement, Verdict
from pgdrill.plan import Checks, Rows
from tests.lab.conftest import DATABASE, MakeCluster, ServerOf

PAGE = 8192
CHECKS: tuple[Check[Any], ...] = (
    rows.CHECK,
    heap.CHECK,
    indexes.CHECK,
    constraints.CHECK,
    large_objects.CHECK,
)
ASKED = Case(Checks(), frozenset(check.name for check in CHECKS))

CONTENT = """
CREATE ROLE clerk; CREATE ROLE auditor;
CREATE EXTENSION pg_trgm SCHEMA public;
CREATE TABLE public.customers (
    id int PRIMARY KEY, email varchar(80) COLLATE "C" NOT NULL UNIQUE CHECK (email LIKE '%@%'), credit numeric);
INSERT INTO public.customers SELECT g, g || '@example.org', g FROM generate_series(1, 2000) AS g;
ALTER TABLE public.customers ADD CONSTRAINT credit_is_small CHECK (credit < 1000) NOT VALID;
CREATE TABLE public."Order Lines" (
    id bigint PRIMARY KEY, customer int NOT NULL REFERENCES public.customers, email text REFERENCES public.customers (email),
    note text, body text);
ALTER TABLE public."Order Lines" ALTER body SET STORAGE EXTERNAL;
INSERT INTO public."Order Lines"
    SELECT g, g % 2000 + 1, NULL, 'note ' || g, CASE WHEN g % 50 = 0 THEN repeat(md5(g::text), 200) END
    FROM generate_series(1, 20000) AS g;
CREATE INDEX "by Customer" ON public."Order Lines" (customer);
CREATE INDEX by_note ON public."Order Lines" USING gin (note public.gin_trgm_ops);
CREATE UNIQUE INDEX by_lower ON public.customers (lower(email)) WHERE id > 10;
CREATE FUNCTION public.smallest() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION public.enough(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN $1 >= smallest(); END';
CREATE TABLE public.parted (a int CHECK (public.enough(a)), customer int REFERENCES public.customers) PARTITION BY LIST (a);
CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES IN (1);
INSERT INTO public.parted SELECT 1, g FROM generate_series(1, 100) AS g;
CREATE TABLE public.of_clerk (a int PRIMARY KEY);
INSERT INTO public.of_clerk SELECT generate_series(1, 10);
ALTER TABLE public.of_clerk OWNER TO clerk;
CREATE TABLE public.of_auditor (a int PRIMARY KEY REFERENCES public.of_clerk);
INSERT INTO public.of_auditor SELECT generate_series(1, 10);
ALTER TABLE public.of_auditor OWNER TO auditor;
ALTER TABLE public.of_auditor ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.of_auditor FORCE ROW LEVEL SECURITY;
CREATE UNLOGGED TABLE public.fleeting (a int);
SELECT lo_from_bytea(70001, 'some bytes'), lo_from_bytea(70002, ''), lo_from_bytea(70003, repeat('x', 100000)::bytea);
ALTER LARGE OBJECT 70001 OWNER TO master; ALTER LARGE OBJECT 70002 OWNER TO master; ALTER LARGE OBJECT 70003 OWNER TO clerk;
"""


@pytest.fixture(scope="module")
def backup(make_cluster: MakeCluster, ground: Path) -> Path:
    """A physical backup of a database with what the checks look at; every damage gets a copy of it."""
    source = make_cluster()
    with source.session(DATABASE) as session:
        session.execute(CONTENT)
        session.execute("VACUUM (FREEZE, ANALYZE)")
    source.back_up(ground / "content")
    source.destroy()
    return ground / "content"


FileOf = Callable[[Cluster, str], AbstractContextManager[Path]]


@pytest.fixture(scope="module")
def restored(make_cluster: MakeCluster, backup: Path) -> Cluster:
    """A healthy restore, that no test changes."""
    return make_cluster(backup=backup)


@pytest.fixture
def damaged(make_cluster: MakeCluster, backup: Path) -> Iterator[Cluster]:
    """A restore of its own, to be damaged."""
    cluster = make_cluster(backup=backup)
    yield cluster
    cluster.destroy()


@pytest.fixture
def file_of(authority: Authority) -> FileOf:
    """Return how to stop a cluster, let a relation's file be changed, and start it again."""

    @contextmanager
    def changing(cluster: Cluster, relation: str) -> Iterator[Path]:
        path = cluster.sql(DATABASE, "SELECT pg_relation_filepath(%s::regclass)", (relation,))[0][0]
        port = cluster.port
        cluster.stop()
        yield cluster.directory / "data" / path
        cluster.start(port, certificate=authority.server)

    return changing


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def flip(path: Path, at: int) -> None:
    with path.open("rb") as file:
        file.seek(at)
        byte = file.read(1)[0]
    overwrite(path, at, bytes([byte ^ 0x40]))


def examine(server: Server, case: Case = ASKED) -> dict[str, Judgement]:
    """Measure each measure once, and judge all checks."""
    facts: dict[Any, Fact] = {}
    for check in CHECKS:
        if check.measure not in facts:
            facts[check.measure] = check.measure(server, case)
    return {check.name: check.judge(facts[check.measure], case) for check in CHECKS}


def verdicts(found: dict[str, Judgement]) -> dict[str, Verdict]:
    return {name: one.verdict for name, one in found.items() if one.verdict is not Verdict.PASSED}


@pytest.fixture(scope="module")
def reference(restored: Cluster, server_of: ServerOf) -> Case:
    """What another restore of the same point holds."""
    server = server_of(restored, may_change=True)
    return replace(
        ASKED,
        references={
            "sweep": sweep.sweep(server, ASKED).model_dump(mode="json"),
            "large_objects": large_objects.measure(server, ASKED).model_dump(mode="json"),
        },
    )


def test_a_healthy_restore_passes_every_check_and_is_read_whole(
    restored: Cluster, server_of: ServerOf
) -> None:
    found = examine(server_of(restored, may_change=True))
    assert verdicts(found) == {}
    assert found["rows"].coverage.startswith("read 5 of 5 tables, 22,120 rows, ")
    assert found["rows"].coverage.endswith(
        "; compared 0 of 5: first drill of this point; 1 hold no rows of the backup (unlogged)"
    )
    assert found["indexes"].coverage.endswith("; not checkable: 1 gin")
    assert found["constraints"].coverage == (
        "checked 16 of 16 (2 check, 4 foreign key, 4 not null, 6 unique); 1 constraint NOT VALID, which promises nothing"
    )
    assert found["large_objects"].coverage == (
        "read 3 of 3, 0.1 MB; compared with nothing: first drill of this point"
    )


def test_a_leased_copy_is_left_as_it_was_found(restored: Cluster, server_of: ServerOf) -> None:
    state = (
        "SELECT (SELECT count(*) FROM pg_auth_members), (SELECT count(*) FROM pg_extension),"
        " (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_class WHERE relforcerowsecurity)"
    )
    before = restored.sql(DATABASE, state)
    examine(server_of(restored, may_change=True))
    assert restored.sql(DATABASE, state) == before


def test_what_cannot_be_read_whole_elsewhere_is_inconclusive_and_nothing_is_changed(
    restored: Cluster, server_of: ServerOf
) -> None:
    found = examine(server_of(restored))
    assert verdicts(found) == {
        "rows": Verdict.INCONCLUSIVE,
        "heap": Verdict.INCONCLUSIVE,
        "constraints": Verdict.INCONCLUSIVE,
        "indexes": Verdict.INCONCLUSIVE,
        "large_objects": Verdict.INCONCLUSIVE,
    }
    assert {one.object: one.what for one in found["rows"].damage} == {
        'public."Order Lines"': "permission denied (42501)",
        "public.customers": "permission denied (42501)",
        "public.of_auditor": "row-level security (42501)",
        "public.of_clerk": "permission denied (42501)",
        "public.parted_1": "permission denied (42501)",
    }


def test_a_second_restore_of_the_same_point_is_compared_table_by_table(
    damaged: Cluster, server_of: ServerOf, reference: Case
) -> None:
    required = replace(reference, checks=Checks(rows=Rows(compared="required")))
    found = examine(server_of(damaged, may_change=True), required)
    assert verdicts(found) == {}
    assert found["rows"].reason == "5 tables read whole, 5 equal to the other restore's"
    assert "; compared with the other restore" in found["large_objects"].coverage


def test_rows_that_are_other_rows_or_gone_are_found_by_comparing(
    damaged: Cluster, server_of: ServerOf, reference: Case
) -> None:
    with damaged.session(DATABASE) as session:
        session.execute("SET session_replication_role = replica")
        session.execute("UPDATE public.customers SET credit = credit + 1 WHERE id = 77")
        session.execute('DELETE FROM public."Order Lines" WHERE id = 500')
        session.execute("DROP TABLE public.of_auditor")
        session.execute("SELECT lo_put(70001, 0, 'S')")
    found = examine(server_of(damaged, may_change=True), reference)
    assert verdicts(found) == {"rows": Verdict.FAILED, "large_objects": Verdict.FAILED}
    assert {one.object: one.what for one in found["rows"].damage} == {
        "public.customers": "same number of rows, different content",
        'public."Order Lines"': "19,999 rows in this copy, 20,000 rows in the other restore",
        "public.of_auditor": "only in the other restore",
    }
    assert found["large_objects"].damage[0].what == "different content than in the other restore"


def test_a_flipped_bit_is_found_with_the_block_it_is_in(
    damaged: Cluster, server_of: ServerOf, file_of: FileOf
) -> None:
    with file_of(damaged, 'public."Order Lines"') as path:
        flip(path, 5 * PAGE + 6000)
    found = examine(server_of(damaged, may_change=True))
    assert verdicts(found) == {
        "rows": Verdict.FAILED,
        "heap": Verdict.FAILED,
        "indexes": Verdict.INCONCLUSIVE,
        "constraints": Verdict.INCONCLUSIVE,
    }
    for name in ("rows", "heap"):
        assert found[name].damaged == 1
        assert found[name].damage[0].object == 'public."Order Lines"'
        assert found[name].damage[0].what == 'invalid page: block 5 of public."Order Lines" (XX001)'


def test_rows_lost_without_a_trace_are_missed_by_an_index_where_nothing_is_at_hand_to_compare(
    damaged: Cluster, server_of: ServerOf, file_of: FileOf
) -> None:
    with file_of(damaged, 'public."Order Lines"') as path:
        overwrite(path, 7 * PAGE, bytes(PAGE))
    server = server_of(damaged, may_change=True)
    found = indexes.judge(indexes.measure(server, ASKED), ASKED)
    assert found.verdict is Verdict.FAILED
    assert found.damaged == 1
    (rows_left,) = damaged.sql(DATABASE, 'SELECT count(note) FROM public."Order Lines"')[0]
    assert found.damage[0].object == 'public."by Customer"'
    assert found.damage[0].what == f'20,000 keys in "by Customer", {rows_left:,} rows in the table'


def test_a_file_that_is_gone_is_found(damaged: Cluster, server_of: ServerOf, file_of: FileOf) -> None:
    with file_of(damaged, "public.of_clerk") as path:
        path.unlink()
    found = examine(server_of(damaged, may_change=True))
    assert found["rows"].verdict is Verdict.FAILED
    assert found["rows"].damage[0].what == "could not open file: public.of_clerk (58P01)"


@pytest.mark.parametrize("index", ['public."by Customer"', "pg_toast"])
def test_a_damaged_index_is_found_and_its_table_is_not_blamed(
    damaged: Cluster, server_of: ServerOf, file_of: FileOf, index: str
) -> None:
    if index == "pg_toast":
        (index,) = damaged.sql(
            DATABASE,
            "SELECT i.indexrelid::regclass::text FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid"
            " WHERE c.relname = 'Order Lines'",
        )[0]
    with file_of(damaged, index) as path:
        flip(path, PAGE + 8000)
    found = examine(server_of(damaged, may_change=True))
    assert found["indexes"].verdict is Verdict.FAILED
    assert found["indexes"].damage[0].object == index
    assert found["indexes"].damage[0].what == f"invalid page: block 1 of {index} (XX001)"
    if "Customer" in index:
        assert verdicts(found) == {"indexes": Verdict.FAILED}


def test_where_amcheck_is_refused_full_reads_and_sums_of_keys_stand_in(
    make_cluster: MakeCluster, backup: Path, server_of: ServerOf, file_of: FileOf
) -> None:
    cluster = make_cluster(backup=backup)
    cluster.sql("postgres", "ALTER ROLE ALL SET rds.amcheck = 'refused'")
    server = server_of(cluster, may_change=True)
    found = examine(server)
    assert verdicts(found) == {}
    assert found["heap"].reason == (
        "every table was read whole under checksums; amcheck is refused in postgres, shop"
    )
    assert "of them by sums of their keys, amcheck being refused" in found["indexes"].coverage
    with file_of(cluster, 'public."Order Lines"') as path:
        overwrite(path, 7 * PAGE, bytes(PAGE))
    found = examine(server)
    assert found["indexes"].verdict is Verdict.FAILED
    assert {one.object for one in found["indexes"].damage} == {
        'public."Order Lines_pkey"',
        'public."by Customer"',
    }
    cluster.destroy()


VIOLATIONS = {
    "public.parted: parted_customer_fkey": (
        "foreign key violated by 1 row",
        "SET session_replication_role = replica; DELETE FROM public.customers WHERE id = 55",
    ),
    "public.of_auditor: of_auditor_a_fkey": (
        "foreign key violated by 2 rows",
        "SET session_replication_role = replica; DELETE FROM public.of_clerk WHERE a < 3",
    ),
    "public.customers: customers_email_check": (
        "check violated by 3 rows",
        """ALTER TABLE public.customers DROP CONSTRAINT customers_email_check;
        UPDATE public.customers SET email = id || ' at home' WHERE id < 4;
        ALTER TABLE public.customers ADD CONSTRAINT customers_email_check CHECK (email LIKE '%@%') NOT VALID;
        UPDATE pg_constraint SET convalidated = true WHERE conname = 'customers_email_check'""",
    ),
    "public.customers: columns": (
        "not null violated by 1 row",
        """ALTER TABLE public.customers ALTER email DROP NOT NULL;
        UPDATE public.customers SET email = NULL WHERE id = 4;
        UPDATE pg_attribute SET attnotnull = true
        WHERE attrelid = 'public.customers'::regclass AND attname = 'email'""",
    ),
    "public.doubles: doubles_a_idx": (
        "unique violated by 1 group of equal keys",
        """CREATE TABLE public.doubles AS SELECT unnest(ARRAY[1, 2, 2, 2, NULL, NULL]) AS a;
        CREATE INDEX doubles_a_idx ON public.doubles (a);
        UPDATE pg_index SET indisunique = true WHERE indexrelid = 'public.doubles_a_idx'::regclass""",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violated_constraint_is_found(damaged: Cluster, server_of: ServerOf, name: str) -> None:
    what, statements = VIOLATIONS[name]
    with damaged.session(DATABASE) as session:
        session.execute(statements)
    server = server_of(damaged, may_change=True)
    found = constraints.judge(constraints.measure(server, ASKED), ASKED)
    assert found.verdict is Verdict.FAILED
    assert {one.object: one.what for one in found.damage}[name] == what


def test_a_large_object_with_a_lost_page_is_unlike_the_other_restores(
    damaged: Cluster, server_of: ServerOf, reference: Case
) -> None:
    with damaged.session(DATABASE) as session:
        session.execute("SET allow_system_table_mods = on")
        session.execute("DELETE FROM pg_largeobject WHERE loid = 70003 AND pageno = 3")
    found = large_objects.judge(
        large_objects.measure(server_of(damaged, may_change=True), reference), reference
    )
    assert found.verdict is Verdict.FAILED


class Countdown:
    """Time that ends after so many looks at the clock."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.lock = threading.Lock()

    def __call__(self) -> float:
        with self.lock:
            self.looks -= 1
            return 600.0 if self.looks > 0 else 1.0


def test_a_sweep_that_is_cut_off_goes_on_where_it_was(
    restored: Cluster, server_of: ServerOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "RANGE", 16)
    server = server_of(restored, may_change=True)
    whole = sweep.sweep(server, ASKED)
    clock = server.clock
    case, calls, cut_in_a_table = ASKED, 0, False
    while True:
        server.clock = replace(clock, remaining=Countdown(60))
        fact = sweep.sweep(server, case)
        calls += 1
        assert calls < 100
        for database in fact.databases.values():
            cut_in_a_table |= any(one.pending not in {(), ((0, None),)} for one in database.heaps.values())
        if fact.complete:
            break
        case = case.resuming(sweep.SweepFact.model_validate_json(fact.model_dump_json()))
    assert calls > 2
    assert cut_in_a_table
    assert fact.fingerprint() == whole.fingerprint()
    assert sweep_verdicts(fact) == sweep_verdicts(whole)


def sweep_verdicts(fact: sweep.SweepFact) -> dict[str, tuple[bool, int]]:
    return {
        f"{database}.{name}": (heap.verified, heap.corrupt)
        for database, one in fact.databases.items()
        for name, heap in one.heaps.items()
    }


@pytest.mark.parametrize(
    ("check", "looks"), [(indexes.CHECK, 12), (constraints.CHECK, 24), (large_objects.CHECK, 8)]
)
def test_a_check_that_is_cut_off_goes_on_where_it_was(
    restored: Cluster, server_of: ServerOf, check: Check[Any], looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_objects, "BATCH", 1)
    server = server_of(restored, may_change=True)
    whole = check.measure(server, ASKED)
    clock, case, calls = server.clock, ASKED, 0
    while True:
        server.clock = replace(clock, remaining=Countdown(looks))
        fact = check.measure(server, case)
        calls += 1
        assert calls < 200
        if fact.complete:
            break
        assert check.judge(fact, case).verdict is Verdict.INCONCLUSIVE
        case = case.resuming(check.fact.model_validate_json(fact.model_dump_json()))
    assert calls > 1
    assert check.judge(fact, case) == check.judge(whole, case)


@pytest.mark.parametrize(("check", "of"), [(heap.CHECK, "heaps"), (indexes.CHECK, "indexes")])
def test_what_shares_a_round_trip_is_examined_one_by_one_where_the_session_does_not_survive_it(
    restored: Cluster, server_of: ServerOf, check: Check[Any], of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of(restored, may_change=True)
    whole = check.measure(server, ASKED)
    lost = 0

    def lose(_: object, session: Connection, __: object) -> None:
        nonlocal lost
        lost += 1
        session.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    for module in (sweep, indexes):
        monkeypatch.setattr(module._Pass, "together", lose)
    alone = check.measure(server, ASKED)
    assert lost > 2
    assert examined(alone, of) == examined(whole, of)


def examined(fact: Any, of: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What is known of each heap or index, but for its length: catalogs grow while amcheck is made."""
    return {
        (database, name): dict(found) | {"pages": 0}
        for database, one in fact.databases.items()
        for name, found in getattr(one, of).items()
    }
