"""Every sabotage does what it says, to the copy it is given and to nothing else."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab import sabotage
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.sabotage import Target, pages

from .conftest import MakeCluster, Run

SHOP = """
CREATE COLLATION phone_book (provider = icu, locale = 'de-u-co-phonebk');
CREATE ROLE clerk;
CREATE TABLE customers (id int PRIMARY KEY, name text COLLATE phone_book NOT NULL);
INSERT INTO customers SELECT i, (ARRAY['Müller', 'Muller', 'Mueller', 'Nguyễn'])[1 + i % 4] || i FROM generate_series(1, 200) i;
CREATE INDEX customers_name ON customers (name);
CREATE TABLE "Orders" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers, note text,
  photo text, CHECK (id > 0));
ALTER TABLE "Orders" ALTER photo SET STORAGE EXTERNAL;
INSERT INTO "Orders" (customer, note, photo)
  SELECT 1 + i % 200, repeat('note ', 10), CASE WHEN i % 100 = 0 THEN repeat('photo ' || i, 2000) END
    FROM generate_series(1, 6000) i;
GRANT SELECT, UPDATE ON "Orders" TO clerk;
CREATE POLICY own ON customers USING (true);
VACUUM ANALYZE;
"""


@dataclass(frozen=True)
class Backups:
    """Of one instance an older and a newer one, and one of another instance."""

    older: Path
    newer: Path
    foreign: Path


@dataclass(frozen=True)
class Harm:
    """Sabotage a copy of the newer backup, and start a cluster from it."""

    do: Callable[..., tuple[str, Path]]
    start: Callable[[Path], Cluster]


@pytest.fixture(scope="module")
def backups(make_cluster: MakeCluster, run: Run, ground: Path) -> Backups:
    home = Path(tempfile.mkdtemp(prefix="backups-", dir=ground))
    home.chmod(0o755)
    production, elsewhere = make_cluster(), make_cluster()
    statements = [*filter(str.strip, SHOP.split(";\n"))]
    run(production, *statements)
    production.back_up(home / "older")
    run(
        production,
        """UPDATE "Orders" SET note = upper(note)""",
        """INSERT INTO customers SELECT i, 'new' FROM generate_series(201, 400) i""",
    )
    production.back_up(home / "newer")
    elsewhere.back_up(home / "foreign")
    for one in (production, elsewhere):
        one.destroy()
    return Backups(home / "older", home / "newer", home / "foreign")


@pytest.fixture
def harm(backups: Backups, binaries: Binaries, make_cluster: MakeCluster) -> Iterator[Harm]:
    started: list[Cluster] = []
    copies: list[Path] = []

    def do(name: str, **target: Any) -> tuple[str, Path]:
        copy = backups.newer.with_name(f"copy-{name}")
        copies.append(copy)
        subprocess.run(["cp", "-a", backups.newer, copy], check=True)
        return sabotage.by_name(name).apply(copy, binaries, Target(**target)), copy

    def start(backup: Path) -> Cluster:
        started.append(make_cluster(start=False, backup=backup))
        started[-1].start(1)
        return started[-1]

    yield Harm(do, start)
    for cluster in started:
        cluster.destroy()
    for copy in copies:
        shutil.rmtree(copy)


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(
        b"".join(bytes(str(file), "utf-8") + file.read_bytes() for file in files)
    ).hexdigest()


def _error(cluster: Cluster, query: str) -> str:
    with pytest.raises(psycopg.Error) as raised:
        cluster.sql("shop", query)
    return str(raised.value)


ORDERS = 'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM "Orders" t'


@pytest.fixture(scope="module")
def whole(backups: Backups, make_cluster: MakeCluster) -> Cluster:
    """The newer backup, unharmed."""
    cluster = make_cluster(start=False, backup=backups.newer)
    cluster.start(1)
    cluster.sql("shop", "CREATE EXTENSION amcheck")
    return cluster


def test_the_checksum_of_every_page_of_a_cluster_is_computed_as_postgresql_does(whole: Cluster) -> None:
    [[table, index]] = whole.sql(
        "shop", """SELECT pg_relation_filepath('"Orders"'), pg_relation_filepath('"Orders_pkey"')"""
    )
    whole.sql("shop", "CHECKPOINT")
    for file in (whole.data / table, whole.data / index):
        content = file.read_bytes()
        read = [
            pages.Page(number, content[number * pages.SIZE :][: pages.SIZE])
            for number in range(len(content) // pages.SIZE)
        ]
        assert len(read) > 10
        assert [page.number for page in read if not page.is_whole] == []
        assert read[3].flipped(100, 0).is_whole is False
        assert read[3].flipped(100, 0).signed().is_whole is True


def test_what_is_not_the_target_is_unharmed(backups: Backups, harm: Harm) -> None:
    before = _digest(backups.newer)
    harm.do("heap-bit-flip")
    assert _digest(backups.newer) == before


@pytest.fixture
def damaged(harm: Harm, backups: Backups) -> Callable[..., tuple[str, Cluster]]:
    def do(name: str, **target: Any) -> tuple[str, Cluster]:
        sentence, copy = harm.do(name, **target)
        return sentence, harm.start(copy)

    return do


Damaged = Callable[..., tuple[str, Cluster]]


def test_a_flipped_bit_of_a_table_fails_its_checksum(damaged: Damaged) -> None:
    sentence, cluster = damaged("heap-bit-flip")
    page = re.fullmatch(
        r'flipped bit 3 of byte \d+ on page (\d+) of public."Orders" in database shop', sentence
    )
    assert page is not None
    assert f"invalid page in block {page[1]} of relation" in _error(cluster, ORDERS)


def test_a_bit_flipped_before_the_checksum_changes_content_silently(damaged: Damaged, whole: Cluster) -> None:
    sentence, cluster = damaged("heap-bit-flip-unseen")
    assert sentence.endswith('of public."Orders" in database shop, with a valid checksum')
    [[count, total]], [[count_before, total_before]] = cluster.sql("shop", ORDERS), whole.sql("shop", ORDERS)
    assert count == count_before
    assert total != total_before


def test_a_flipped_bit_of_an_index_fails_its_checksum_and_leaves_the_table(
    damaged: Damaged, whole: Cluster
) -> None:
    sentence, cluster = damaged("index-bit-flip")
    assert 'of index public."Orders_pkey" in database shop' in sentence
    assert cluster.sql("shop", ORDERS) == whole.sql("shop", ORDERS)
    cluster.sql("shop", "CREATE EXTENSION amcheck")
    assert "invalid page in block" in _error(cluster, """SELECT bt_index_check('"Orders_pkey"', true)""")


def test_a_flipped_bit_of_toast_fails_its_checksum(damaged: Damaged) -> None:
    sentence, cluster = damaged("toast-bit-flip")
    assert 'of the TOAST of public."Orders" in database shop' in sentence
    assert "invalid page in block" in _error(cluster, """SELECT sum(length(photo || '')) FROM "Orders\"""")


def test_a_truncated_file_loses_rows_silently(damaged: Damaged, whole: Cluster) -> None:
    sentence, cluster = damaged("truncated-file")
    assert re.fullmatch(r'cut the last \d+ of \d+ pages off public."Orders" in database shop', sentence)
    assert 0 < cluster.sql("shop", ORDERS)[0][0] < whole.sql("shop", ORDERS)[0][0]


def test_a_zeroed_page_loses_rows_silently(damaged: Damaged, whole: Cluster) -> None:
    sentence, cluster = damaged("zeroed-page")
    assert re.match(r'zeroed page \d+ of public."Orders" in database shop', sentence)
    assert 0 < cluster.sql("shop", ORDERS)[0][0] < whole.sql("shop", ORDERS)[0][0]


def test_a_zeroed_file_loses_all_rows_silently(damaged: Damaged) -> None:
    _, cluster = damaged("zeroed-file")
    assert cluster.sql("shop", ORDERS) == [(0, None)]


def test_swapped_pages_keep_the_content_and_contradict_the_index(damaged: Damaged, whole: Cluster) -> None:
    _, cluster = damaged("swapped-pages")
    assert cluster.sql("shop", ORDERS) == whole.sql("shop", ORDERS)
    cluster.sql("shop", "CREATE EXTENSION amcheck")
    assert "lacks matching index tuple" in _error(cluster, """SELECT bt_index_check('"Orders_pkey"', true)""")


def test_a_doubled_page_replaces_the_rows_of_its_neighbour(damaged: Damaged, whole: Cluster) -> None:
    _, cluster = damaged("doubled-page")
    assert cluster.sql("shop", ORDERS) != whole.sql("shop", ORDERS)
    assert cluster.sql("shop", 'SELECT count(*) - count(DISTINCT id) > 0 FROM "Orders"') == [(True,)]


def test_a_lost_write_brings_back_older_rows_silently(
    damaged: Damaged, backups: Backups, whole: Cluster
) -> None:
    upper = """SELECT count(*) FROM "Orders" WHERE note <> upper(note)"""
    sentence, cluster = damaged("lost-write", other=backups.older)
    assert re.fullmatch(
        r'put page \d+ of public."Orders" in database shop back to what it was in the other backup', sentence
    )
    assert cluster.sql("shop", ORDERS) != whole.sql("shop", ORDERS)
    assert cluster.sql("shop", upper) != whole.sql("shop", upper)


def test_a_missing_commit_log_keeps_the_server_from_starting(harm: Harm) -> None:
    sentence, copy = harm.do("missing-commit-log")
    assert sentence == "removed commit-log segment pg_xact/0000"
    with pytest.raises(Broken, match=r"did not start: FATAL: .*could not access status of transaction"):
        harm.start(copy)


def test_a_zeroed_commit_log_makes_committed_rows_vanish(damaged: Damaged, whole: Cluster) -> None:
    sentence, cluster = damaged("zeroed-commit-log")
    assert sentence == "zeroed commit-log segment pg_xact/0000"
    new = "SELECT count(*) FROM customers WHERE name = 'new'"
    assert cluster.sql("shop", new) != whole.sql("shop", new)


def test_deleted_rows_are_a_tenth(damaged: Damaged, whole: Cluster) -> None:
    sentence, cluster = damaged("deleted-rows", table="customers")
    assert sentence == "deleted 40 rows of public.customers in database shop"
    count = "SELECT count(*) FROM customers"
    assert (whole.sql("shop", count), cluster.sql("shop", count)) == ([(400,)], [(360,)])


def test_a_dropped_table_is_gone(damaged: Damaged) -> None:
    sentence, cluster = damaged("dropped-table", database="shop")
    assert sentence == 'dropped public."Orders" in database shop'
    assert cluster.sql("shop", """SELECT to_regclass('"Orders"'), to_regclass('customers')""") == [
        (None, "customers")
    ]


def test_a_sequence_set_back_gives_out_its_numbers_again(damaged: Damaged) -> None:
    sentence, cluster = damaged("sequence-set-back")
    assert sentence == 'set sequence public."Orders_id_seq" in database shop back to its start, by 5999'
    assert cluster.sql("shop", """SELECT nextval('"Orders_id_seq"')""") == [(1,)]


def test_a_changed_collation_makes_an_index_wrong(damaged: Damaged, whole: Cluster) -> None:
    version = "SELECT collversion = pg_collation_actual_version(oid) FROM pg_collation WHERE collname = 'phone_book'"
    check = "SELECT bt_index_check('customers_name')"
    assert whole.sql("shop", version) == [(True,)]
    assert whole.sql("shop", check) == [("",)]
    sentence, cluster = damaged("changed-collation")
    assert sentence.startswith("changed the order of collation phone_book from de-u-co-phonebk to ")
    assert cluster.sql("shop", version) == [(False,)]
    cluster.sql("shop", "CREATE EXTENSION amcheck")
    assert "item order invariant violated" in _error(cluster, check)


def test_revoked_privileges_are_gone(damaged: Damaged, whole: Cluster) -> None:
    may = """SELECT has_table_privilege('clerk', '"Orders"', 'SELECT')"""
    sentence, cluster = damaged("revoked-privileges")
    assert sentence == 'revoked what was granted to clerk on public."Orders" in database shop'
    assert (whole.sql("shop", may), cluster.sql("shop", may)) == ([(True,)], [(False,)])


def test_a_dropped_policy_is_gone(damaged: Damaged) -> None:
    sentence, cluster = damaged("dropped-policy")
    assert sentence == "dropped policy own ON public.customers in database shop"
    assert cluster.sql("shop", "SELECT count(*) FROM pg_policy") == [(0,)]


def test_an_orphaned_row_refers_to_nothing(damaged: Damaged, whole: Cluster) -> None:
    orphans = """SELECT count(*) > 0 FROM "Orders" o WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = o.customer)"""
    sentence, cluster = damaged("orphaned-row")
    assert sentence == (
        'deleted a row of customers that "Orders" refers to by'
        ' "Orders_customer_fkey" ON public."Orders" in database shop'
    )
    assert (whole.sql("shop", orphans), cluster.sql("shop", orphans)) == ([(False,)], [(True,)])


def test_a_constraint_loses_its_validity(damaged: Damaged) -> None:
    sentence, cluster = damaged("constraint-not-valid")
    assert sentence.endswith('ON public."Orders" in database shop as NOT VALID')
    assert cluster.sql("shop", "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == [(1,)]


def test_a_stale_snapshot_holds_the_older_rows(damaged: Damaged, backups: Backups) -> None:
    before = _digest(backups.older)
    sentence, cluster = damaged("stale-snapshot", other=backups.older)
    assert sentence == "replaced copy-stale-snapshot with older"
    assert cluster.sql("shop", "SELECT count(*) FROM customers") == [(200,)]
    assert _digest(backups.older) == before


def test_a_foreign_snapshot_holds_another_database(damaged: Damaged, backups: Backups) -> None:
    _, cluster = damaged("foreign-snapshot", other=backups.foreign)
    assert cluster.sql("shop", "SELECT to_regclass('customers')") == [(None,)]


def test_a_hole_in_the_archive_keeps_recovery_from_its_target(
    make_cluster: MakeCluster, binaries: Binaries, run: Run
) -> None:
    production = make_cluster()
    backup = production.directory / "backup"
    production.back_up(backup)
    for _ in range(4):
        target = production.archive_now()
    before = {*production.archive.iterdir()}
    sentence = sabotage.by_name("wal-hole").apply(production.archive, binaries, Target())
    [lost] = before - {*production.archive.iterdir()}
    assert re.fullmatch(
        f"removed segment {lost.name} from the archive, one of [45] since the last backup", sentence
    )
    with pytest.raises(Broken, match="recovery ended before configured recovery target was reached"):
        make_cluster(backup=backup, archive=production.archive, target=target)


def test_a_swap_needs_another_snapshot(harm: Harm) -> None:
    with pytest.raises(NotRunnable) as raised:
        harm.do("stale-snapshot")
    assert (raised.value.message, raised.value.hint) == (
        "no other backup given",
        "name the snapshot that takes its place",
    )


def test_a_lost_write_needs_a_snapshot_that_differs(harm: Harm, backups: Backups) -> None:
    with pytest.raises(NotRunnable) as raised:
        harm.do("lost-write", other=backups.newer)
    assert (raised.value.message, raised.value.hint) == (
        "no page in copy-lost-write has other rows than in newer",
        "choose an older snapshot of the same instance",
    )


def test_a_table_without_what_is_to_be_damaged_is_refused(harm: Harm) -> None:
    with pytest.raises(NotRunnable) as raised:
        harm.do("toast-bit-flip", database="shop", table="customers")
    assert raised.value.message == "nothing to damage in customers of shop"


def test_an_unknown_kind_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(NotRunnable) as raised:
        sabotage.by_name("earthquake")
    assert raised.value.message == "no sabotage 'earthquake'"
    assert all(one.name in raised.value.hint for one in sabotage.ALL)
