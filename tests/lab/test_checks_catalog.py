"""The checks that read catalogs, on real servers: silent on a restored copy, and each speaks on its damage.

One production with a shop is sealed, backed up, changed a little and sealed again; one copy is restored from it.
"""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pgdrill import ledger, seal
from pgdrill.checks import (
    assertions,
    catalog,
    catalog_sql,
    collations,
    extensions,
    reachable,
    sequences,
    settings,
    side_effects,
)
from pgdrill.checks.check import Case, Check
from pgdrill.database import Server
from pgdrill.lab import shop
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.tls import Authority
from pgdrill.model import Fact, Judgement, PointKind, RecoveryPoint, Verdict
from pgdrill.plan import Assertion, Checks
from tests.lab.conftest import MakeCluster, ServerOf, free_port

SEALED: tuple[Check[Any], ...] = (settings.CHECK, catalog.CHECK, sequences.CHECK, extensions.CHECK)
ALL: tuple[Check[Any], ...] = (
    reachable.CHECK,
    *SEALED,
    collations.CHECK,
    side_effects.CHECK,
)

# A drill has a parameter group of its own. No subscription of a test may reach out.
OWN_PARAMETERS = {"gin_fuzzy_search_limit": "1000", "max_logical_replication_workers": "0"}

ASSERTIONS = (
    Assertion(name="orders", database="shop", sql="SELECT count(*) FROM shop.orders", at_least=1),
    Assertion(
        name="customers",
        database="shop",
        sql="SELECT NOT EXISTS (SELECT FROM shop.orders WHERE customer IS NULL);",
        expect=True,
    ),
)


@dataclass(frozen=True)
class Copy:
    """A restored copy, the door to it, and what is known of its recovery point."""

    cluster: Cluster
    server: Server
    case: Case

    def judge(self, check: Check[Any], case: Case | None = None) -> Judgement:
        case = case or self.case
        return check.judge(check.measure(self.server, case), case)

    @property
    def unsealed(self) -> Case:
        """What `pgdrill verify` knows of it."""
        return Case(checks=self.case.checks, asked=self.case.asked)

    @contextmanager
    def damaged(self, damage: str, repair: str) -> Iterator[None]:
        self.sql(damage)
        try:
            yield
        finally:
            self.sql(repair)

    def sql(self, *statements: str, database: str = "shop") -> None:
        for statement in statements:
            self.cluster.sql(database, statement)


@pytest.fixture(scope="module")
def copy(cluster: Cluster, make_cluster: MakeCluster, server_of: ServerOf, ground: Path) -> Copy:
    master = server_of(cluster, "postgres")
    shop.load(master.address, rows=600)
    ledger.install(master, "secret")
    role = Server(dataclasses.replace(master.address, user=ledger.ROLE, password="secret"), master.clock)
    before = seal.take(role, SEALED, "shop", "p1", role.clock)
    # An ordinary day goes on between the seals: orders, and a migration.
    cluster.sql("shop", "CALL shop.place_order(1, 3)")
    cluster.sql("shop", "CREATE INDEX customers_joined ON shop.customers (joined)")
    cluster.back_up(ground / "catalog-backup")
    cluster.sql("shop", "CALL shop.place_order(2, 3)")
    cluster.sql("shop", "ALTER TABLE shop.customers ADD COLUMN nickname text")
    after = seal.take(role, SEALED, "shop", "p1", role.clock)
    restored = make_cluster(backup=ground / "catalog-backup", settings=OWN_PARAMETERS)
    point = RecoveryPoint(
        id="p1",
        kind=PointKind.SNAPSHOT,
        region="ap-southeast-1",
        source="shop-production",
        recovers_to=datetime.now(UTC),
        engine_version="15",
        storage_gb=20,
        encrypted=True,
    )
    case = Case(
        checks=Checks(assertions=ASSERTIONS),
        asked=frozenset(check.name for check in ALL),
        point=point,
        before=before,
        after=after,
    )
    return Copy(restored, server_of(restored, "postgres", may_change=True), case)


@pytest.mark.parametrize("check", [*ALL, assertions.CHECK], ids=lambda check: check.name)
def test_a_healthy_copy_raises_no_alarm(copy: Copy, check: Check[Any]) -> None:
    judgement = copy.judge(check)
    assert judgement.verdict is Verdict.PASSED, judgement
    assert judgement.coverage


@pytest.mark.parametrize("check", [*ALL, assertions.CHECK], ids=lambda check: check.name)
def test_a_fact_is_read_back_as_it_was_written(copy: Copy, check: Check[Any]) -> None:
    fact: Fact = check.measure(copy.server, copy.case)
    assert check.fact.model_validate_json(fact.model_dump_json()) == fact


def test_the_sealing_role_sees_what_the_master_user_sees(
    cluster: Cluster, server_of: ServerOf, copy: Copy
) -> None:
    master = server_of(cluster, "postgres")
    role = Server(dataclasses.replace(master.address, user=ledger.ROLE, password="secret"), master.clock)
    sealing = dataclasses.replace(copy.case, sealing=True)
    by_role, by_master = (catalog.CHECK.measure(server, sealing).objects for server in (role, master))
    assert by_role == by_master
    positions = sequences.CHECK.measure(role, sealing).databases["shop"]
    assert positions["shop.order_number"].last is not None
    assert all(position.behind is None for position in positions.values())


def test_parameters_of_the_drills_own_are_told(copy: Copy) -> None:
    assert copy.judge(settings.CHECK).reason.endswith("; parameters of its own: gin_fuzzy_search_limit")


def test_a_database_in_another_locale_fails(copy: Copy) -> None:
    with copy.damaged(
        "UPDATE pg_database SET datcollate = 'xx_XX' WHERE datname = 'analytics'",
        "UPDATE pg_database SET datcollate = datctype WHERE datname = 'analytics'",
    ):
        judgement = copy.judge(settings.CHECK)
    assert judgement.verdict is Verdict.FAILED
    assert [one.object for one in judgement.damage] == ["analytics"]


def test_a_catalog_with_a_damaged_page_fails_and_names_it(
    copy: Copy, make_cluster: MakeCluster, server_of: ServerOf, authority: Authority, ground: Path
) -> None:
    ((path,),) = copy.cluster.sql("shop", "SELECT pg_relation_filepath('pg_catalog.pg_rewrite')")
    damaged = make_cluster(backup=ground / "catalog-backup", start=False)
    file = damaged.data / path
    pages = bytearray(file.read_bytes())
    pages[5000::8192] = bytes(byte ^ 255 for byte in pages[5000::8192])
    file.write_bytes(pages)
    damaged.start(free_port(), certificate=authority.server)
    server = server_of(damaged, "postgres", may_change=True)
    judgement = catalog.CHECK.judge(catalog.CHECK.measure(server, copy.case), copy.case)
    damaged.destroy()
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason.startswith("the catalog of shop cannot be read: invalid page: block ")
    assert {one.database for one in judgement.damage} == {"shop"}


def test_a_copy_under_lease_is_seen_to_take_writes(copy: Copy) -> None:
    fact = reachable.CHECK.measure(copy.server, copy.case)
    assert fact.writable is True
    assert set(fact.databases) == {"Year-End 2025", "analytics", "postgres", "shop"}
    assert all(answer.query is not None for answer in fact.databases.values())


def test_a_database_without_its_files_does_not_answer(copy: Copy) -> None:
    ((oid,),) = copy.cluster.sql("postgres", "SELECT oid FROM pg_database WHERE datname = 'analytics'")
    version = copy.cluster.data / "base" / str(oid) / "PG_VERSION"
    aside = version.rename(version.with_suffix(".aside"))
    try:
        judgement = copy.judge(reachable.CHECK)
    finally:
        aside.rename(version)
    assert (judgement.verdict, judgement.reason) == (Verdict.FAILED, "database analytics does not answer")


def test_a_database_that_may_not_be_entered_is_inconclusive(copy: Copy) -> None:
    copy.sql("CREATE DATABASE closed", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    try:
        judgement = copy.judge(reachable.CHECK)
    finally:
        copy.sql("DROP DATABASE closed")
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.coverage == "4 of 5 databases answered"


@pytest.mark.parametrize("position", ["1, true", "1, false"])
def test_a_sequence_set_back_is_found_with_and_without_a_seal(copy: Copy, position: str) -> None:
    with copy.damaged(
        f"SELECT setval('shop.customers_id_seq', {position})",
        "SELECT setval('shop.customers_id_seq', max(id)) FROM shop.customers",
    ):
        for case in (copy.case, copy.unsealed):
            judgement = copy.judge(sequences.CHECK, case)
            assert judgement.verdict is Verdict.FAILED
            assert [one.object for one in judgement.damage] == ["shop.customers_id_seq"]


def test_a_sequence_that_stands_at_its_next_number_is_not_behind(copy: Copy) -> None:
    with copy.damaged(
        "SELECT setval('shop.customers_id_seq', max(id) + 1, false) FROM shop.customers",
        "SELECT setval('shop.customers_id_seq', max(id)) FROM shop.customers",
    ):
        assert copy.judge(sequences.CHECK, copy.unsealed).verdict is Verdict.PASSED


def test_a_sequence_that_feeds_no_column_is_found_set_back_by_its_seal(copy: Copy) -> None:
    ((last,),) = copy.cluster.sql("shop", "SELECT last_value FROM shop.order_number")
    with copy.damaged(
        "SELECT setval('shop.order_number', 1000)", f"SELECT setval('shop.order_number', {last})"
    ):
        assert copy.judge(sequences.CHECK).verdict is Verdict.FAILED
        assert copy.judge(sequences.CHECK, copy.unsealed).verdict is Verdict.PASSED


def test_a_collation_of_another_version_fails_and_names_the_indexes_built_under_it(copy: Copy) -> None:
    recorded = "UPDATE pg_collation SET collversion = {} WHERE collname = 'phone_book'"
    with copy.damaged(recorded.format("'1'"), recorded.format("pg_collation_actual_version(oid)")):
        judgement = copy.judge(collations.CHECK)
    assert judgement.verdict is Verdict.FAILED
    assert [one.object for one in judgement.damage] == [
        "shop.customers_name",
        "shop.customers_name_like",
    ]


def test_an_extension_whose_library_is_gone_fails(copy: Copy) -> None:
    library = "UPDATE pg_proc SET probin = '$libdir/{}' WHERE probin = '$libdir/{}'"
    with copy.damaged(library.format("gone", "hstore"), library.format("hstore", "gone")):
        judgement = copy.judge(extensions.CHECK)
    assert judgement.verdict is Verdict.FAILED
    assert [(one.object, one.what) for one in judgement.damage] == [
        ("hstore", "has a library that does not load (58P01)")
    ]


def test_an_extension_that_the_engine_does_not_know_fails(copy: Copy) -> None:
    rename = "UPDATE pg_extension SET extname = '{}' WHERE extname = '{}'"
    with copy.damaged(rename.format("gone", "citext"), rename.format("citext", "gone")):
        judgement = copy.judge(extensions.CHECK)
    assert judgement.verdict is Verdict.FAILED
    assert {(one.object, one.what) for one in judgement.damage} == {
        ("citext", "missing"),
        ("gone", "is not known to this engine"),
        ("gone", "not there in production"),
    }


def test_a_subscription_is_told_while_it_rests_and_fails_once_enabled(copy: Copy) -> None:
    copy.sql("CREATE SUBSCRIPTION feed CONNECTION 'host=none.invalid' PUBLICATION p WITH (connect = false)")
    try:
        judgement = copy.judge(side_effects.CHECK)
        assert judgement.verdict is Verdict.PASSED
        assert "subscription feed" in judgement.coverage
        copy.sql("ALTER SUBSCRIPTION feed ENABLE")
        judgement = copy.judge(side_effects.CHECK)
        assert (judgement.verdict, judgement.reason) == (
            Verdict.FAILED,
            "subscription feed acts by itself",
        )
    finally:
        copy.sql("ALTER SUBSCRIPTION feed DISABLE", "ALTER SUBSCRIPTION feed SET (slot_name = NONE)")
        copy.sql("DROP SUBSCRIPTION feed")


def test_cron_jobs_are_counted_and_those_hidden_by_row_security_are_not_taken_for_none(copy: Copy) -> None:
    copy.sql(
        "CREATE SCHEMA cron", "CREATE TABLE cron.job (active boolean)", "INSERT INTO cron.job VALUES (true)"
    )
    copy.sql("GRANT USAGE ON SCHEMA cron TO PUBLIC")
    try:
        assert side_effects.CHECK.measure(copy.server, copy.case).jobs == {"shop": 1}
        copy.sql("ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY")
        assert side_effects.CHECK.measure(copy.server, copy.case).jobs == {"shop": -1}
    finally:
        copy.sql("DROP SCHEMA cron CASCADE")


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT count(*) FROM shop.kept_settings", "3"),
        ("SELECT count(*) > 1 FROM shop.kept_settings;", "True"),
        ("VALUES (7::smallint)", "7"),
        ("SELECT count(*) FROM audit.events", "5000"),
        ("SELECT 1 WHERE false", "no row instead of one"),
        ("SELECT 1 FROM shop.customers", "more than one row"),
        ("SELECT 1, 2", "2 columns instead of one"),
        ("SELECT NULL::int", "NULL instead of a value"),
        ("SELECT 'x'", "type text instead of boolean or an integer"),
        ("SELECT sum(total) FROM shop.orders", "type numeric instead of boolean or an integer"),
        ("SELECT 1; SELECT 2", "SyntaxError (42601)"),
        ("DELETE FROM shop.nothing RETURNING 1", "SyntaxError (42601)"),
        ("WITH gone AS (DELETE FROM shop.nothing RETURNING 1) SELECT 1", "FeatureNotSupported (0A000)"),
        ("SELECT setval('shop.ticket', -7)", "ReadOnlySqlTransaction (25006)"),
        ("SELECT count(*) FROM shop.no_such", "UndefinedTable (42P01)"),
        ("SELECT name::int FROM shop.customers", "InvalidTextRepresentation (22P02)"),
        ("SELECT 1 FROM pg_sleep(30)", "QueryCanceled (57014)"),
        ('SELECT count(*) FROM "Back Office".payouts', "InsufficientPrivilege (42501)"),
    ],
)
def test_an_assertion_answers_with_one_number_or_says_why_it_does_not(
    copy: Copy, sql: str, answer: str
) -> None:
    asked = Assertion(name="a", database="shop", sql=sql, at_least=0, timeout=timedelta(seconds=1))
    case = dataclasses.replace(copy.case, checks=Checks(assertions=(asked,)))
    result = assertions.CHECK.measure(copy.server, case).results["a"]
    assert (result.error or str(result.value)) == answer


def test_an_assertion_about_a_database_that_is_not_there_is_inconclusive(copy: Copy) -> None:
    asked = Assertion(name="a", database="none", sql="SELECT 1", expect=1)
    case = dataclasses.replace(copy.case, checks=Checks(assertions=(asked,)))
    judgement = copy.judge(assertions.CHECK, case)
    assert judgement.verdict is Verdict.INCONCLUSIVE


CHURN = (
    "CREATE TABLE public.brief (id serial PRIMARY KEY, note text CHECK (note <> ''))",
    "CREATE VIEW public.briefly AS SELECT * FROM public.brief",
    "CREATE TEMP TABLE own (id serial PRIMARY KEY, note text CHECK (note <> ''))",
    "DROP TABLE public.brief, own CASCADE",
)


def test_a_production_that_makes_and_drops_objects_all_the_time_can_be_sealed(copy: Copy) -> None:
    stop = Event()

    def churn() -> int:
        rounds = 0
        with copy.cluster.session("shop") as session:
            while not stop.is_set():
                for statement in CHURN:
                    session.execute(statement.encode())
                rounds += 1
        return rounds

    sealing = dataclasses.replace(copy.case, sealing=True)
    with ThreadPoolExecutor() as pool:
        churning = pool.submit(churn)
        try:
            for _ in range(3):
                for check in (catalog.CHECK, sequences.CHECK):
                    check.measure(copy.server, sealing)
        finally:
            stop.set()
        assert churning.result() > 10


def test_a_production_without_a_ledger_can_be_sealed_and_hides_what_the_role_may_not_see(
    copy: Copy,
) -> None:
    copy.sql("CREATE ROLE plain LOGIN", "ALTER SCHEMA pgdrill RENAME TO hidden")
    copy.cluster.set_password("plain", "secret")
    role = Server(
        dataclasses.replace(copy.server.address, user="plain", password="secret"), copy.server.clock
    )
    try:
        sealed = seal.take(role, SEALED, "shop", "p2", role.clock)
    finally:
        copy.sql("ALTER SCHEMA hidden RENAME TO pgdrill", "DROP ROLE plain")
    judgement = copy.judge(sequences.CHECK, dataclasses.replace(copy.case, before=sealed, after=sealed))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == "not compared: shop.order_number may not be read"


# One statement, and every entry of the catalog that it changes, and no other.
CHANGES: list[tuple[str, set[str]]] = [
    (
        "ALTER TABLE shop.nothing OWNER TO shop_app",
        {"table shop.nothing", "privileges of table shop.nothing"},
    ),
    ("ALTER TABLE shop.kept_settings SET (fillfactor = 80)", {"table shop.kept_settings"}),
    (
        "ALTER TABLE shop.kept_settings SET UNLOGGED",
        {"table shop.kept_settings", "unlogged table shop.kept_settings"},
    ),
    ("ALTER TABLE shop.customers REPLICA IDENTITY FULL", {"table shop.customers"}),
    ("ALTER TABLE audit.events DISABLE ROW LEVEL SECURITY", {"table audit.events"}),
    ('ALTER TABLE "Back Office".salaries NO FORCE ROW LEVEL SECURITY', {'table "Back Office".salaries'}),
    (
        "ALTER TABLE shop.wire_payments NO INHERIT shop.payments",
        {
            "table shop.wire_payments",
            *(f"column shop.wire_payments.{name}" for name in ("id", '"order"', "paid", "received")),
        },
    ),
    (
        "CREATE TABLE public.parts (id integer) PARTITION BY LIST (id)",
        {"partitioned table public.parts", "column public.parts.id"},
    ),
    (
        "CREATE TABLE public.part PARTITION OF public.parts FOR VALUES IN (1)",
        {"partition public.part", "column public.part.id"},
    ),
    (
        "ALTER TABLE public.parts DETACH PARTITION public.part",
        {"partition public.part", "table public.part", "column public.part.id"},
    ),
    (
        "ALTER TABLE shop.kept_settings ALTER value TYPE varchar(90)",
        {"column shop.kept_settings.value"},
    ),
    ("ALTER TABLE shop.customers ALTER credit SET DEFAULT 7", {"column shop.customers.credit"}),
    ("ALTER TABLE shop.carts ALTER content DROP NOT NULL", {"column shop.carts.content"}),
    ("ALTER TABLE shop.products ALTER description SET STORAGE MAIN", {"column shop.products.description"}),
    ("ALTER TABLE shop.products ALTER sku SET STATISTICS 500", {"column shop.products.sku"}),
    ("ALTER TABLE shop.products ALTER id SET GENERATED ALWAYS", {"column shop.products.id"}),
    (
        'ALTER TABLE shop."Order Lines" VALIDATE CONSTRAINT "some quantity"',
        {'constraint "some quantity" on shop."Order Lines"'},
    ),
    ("ALTER TABLE shop.products DROP CONSTRAINT priced", {"constraint priced on shop.products"}),
    ("ALTER DOMAIN shop.amount DROP CONSTRAINT amount_check", {"constraint amount_check on shop.amount"}),
    (
        'ALTER TABLE shop."Order Lines" DISABLE TRIGGER ALL',
        {
            'constraint "sold product" on shop."Order Lines"',
            'constraint "Order Lines_order_placed_fkey" on shop."Order Lines"',
        },
    ),
    ("DROP INDEX shop.customers_uid", {"index shop.customers_uid"}),
    ("ALTER TABLE shop.customers CLUSTER ON customers_pkey", {"index shop.customers_pkey"}),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.products_title'::regclass",
        {"index shop.products_title"},
    ),
    (
        "CREATE OR REPLACE VIEW shop.contacts AS SELECT id, name, email FROM shop.customers WHERE id > 0",
        {"view shop.contacts"},
    ),
    ("REFRESH MATERIALIZED VIEW shop.revenue WITH NO DATA", {"materialized view shop.revenue"}),
    ("DROP RULE contacts_are_kept ON shop.contacts", {"rule contacts_are_kept on shop.contacts"}),
    ("ALTER TABLE shop.products ENABLE TRIGGER asleep", {"trigger asleep on shop.products"}),
    ("DROP TRIGGER touch ON shop.customers", {"trigger touch on shop.customers"}),
    (
        "CREATE OR REPLACE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        {"function shop.touch()"},
    ),
    ("ALTER FUNCTION shop.touch() SECURITY DEFINER", {"function shop.touch()"}),
    (
        "ALTER PROCEDURE shop.place_order SET work_mem = '1MB'",
        {"procedure shop.place_order(IN customer bigint, IN lines integer)"},
    ),
    (
        "CREATE OR REPLACE AGGREGATE shop.product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = '2')",
        {"aggregate shop.product(numeric)"},
    ),
    ("ALTER TYPE shop.order_status ADD VALUE 'lost' BEFORE 'sent'", {"type shop.order_status"}),
    ("ALTER TYPE shop.address ADD ATTRIBUTE floor text", {"column shop.address.floor"}),
    ("ALTER DOMAIN shop.amount SET DEFAULT 1", {"type shop.amount"}),
    ("CREATE CAST (shop.address AS json) WITH INOUT", {"cast shop.address AS json"}),
    (
        "CREATE OPERATOR shop.=== (leftarg = text, rightarg = text, function = texteq)",
        {"operator shop.===(text,text)"},
    ),
    ("ALTER COLLATION shop.phone_book OWNER TO shop_app", {"collation shop.phone_book"}),
    (
        "ALTER TEXT SEARCH CONFIGURATION shop.catalogue DROP MAPPING FOR url",
        {"text search configuration shop.catalogue"},
    ),
    ("ALTER STATISTICS shop.order_line_prices SET STATISTICS 50", {"statistics shop.order_line_prices"}),
    ("ALTER SEQUENCE shop.ticket NO CYCLE", {"sequence shop.ticket"}),
    ("ALTER SEQUENCE shop.payments_id_seq OWNED BY NONE", {"sequence shop.payments_id_seq"}),
    ("ALTER POLICY own_events ON audit.events USING (true)", {"policy own_events on audit.events"}),
    ('ALTER POLICY nobody ON "Back Office".salaries TO PUBLIC', {'policy nobody on "Back Office".salaries'}),
    ("REVOKE SELECT ON shop.products FROM shop_app", {"privileges of table shop.products"}),
    (
        "REVOKE SELECT (name) ON shop.customers FROM shop_report",
        {"privileges of table column shop.customers.name"},
    ),
    (
        "REVOKE EXECUTE ON PROCEDURE shop.place_order FROM shop_app",
        {"privileges of procedure shop.place_order(bigint,integer)"},
    ),
    ("REVOKE USAGE ON SCHEMA shop FROM shop_report", {"privileges of schema shop"}),
    (
        "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep FROM PUBLIC",
        {"privileges of function pg_catalog.pg_sleep(double precision)"},
    ),
    ("REVOKE USAGE ON TYPE shop.order_status FROM PUBLIC", {"privileges of type shop.order_status"}),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE master IN SCHEMA shop REVOKE SELECT ON TABLES FROM shop_report",
        {"default privileges r for master in shop"},
    ),
    ("COMMENT ON COLUMN shop.customers.credit IS NULL", {"comment on table column shop.customers.credit"}),
    ("COMMENT ON SCHEMA shop IS 'other'", {"comment on schema shop"}),
    ("ALTER SCHEMA audit OWNER TO shop_app", {"schema audit", "privileges of schema audit"}),
    ("ALTER PUBLICATION changes SET (publish = 'insert')", {"publication changes"}),
    ("ALTER PUBLICATION changes SET TABLE shop.products", {"publication changes"}),
    (
        "CREATE SUBSCRIPTION feed CONNECTION 'host=none.invalid' PUBLICATION p WITH (connect = false)",
        {"subscription feed"},
    ),
    ("CREATE FOREIGN DATA WRAPPER cups", {"foreign data wrapper cups"}),
    ("CREATE SERVER saucer FOREIGN DATA WRAPPER cups OPTIONS (host 'a')", {"foreign server saucer"}),
    ("ALTER SERVER saucer OPTIONS (ADD port '1')", {"foreign server saucer"}),
    (
        "CREATE USER MAPPING FOR shop_app SERVER saucer OPTIONS (password 'secret')",
        {"user mapping shop_app on saucer"},
    ),
    (
        "CREATE FUNCTION public.eye() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        {"function public.eye()"},
    ),
    ("CREATE EVENT TRIGGER eye ON ddl_command_end EXECUTE FUNCTION public.eye()", {"event trigger eye"}),
    ("ALTER EVENT TRIGGER eye DISABLE", {"event trigger eye"}),
    (
        "ALTER EXTENSION hstore SET SCHEMA public",
        {"extension hstore", "column shop.customers.attributes", "column audit.events.detail"},
    ),
    ("ALTER ROLE shop_report CREATEDB", {"role shop_report"}),
    ("GRANT shop_app TO shop_report", {"membership shop_report in shop_app by rdsadmin"}),
    ("ALTER ROLE shop_report SET work_mem = '1MB'", {"setting of shop_report in every database"}),
    ("ALTER DATABASE shop SET work_mem = '1MB'", {"setting of every role in shop"}),
    ("ALTER DATABASE analytics CONNECTION LIMIT 9", {"database analytics"}),
    ("GRANT SET ON PARAMETER log_statement TO shop_app", {"privileges of parameter log_statement"}),
    ("COMMENT ON ROLE shop_app IS 'the application'", {"comment on role shop_app"}),
    ("CREATE TEMP TABLE scratch (id serial PRIMARY KEY, note text CHECK (note <> ''))", set()),
    ("CREATE EXTENSION amcheck", set()),
    ("ANALYZE shop.orders", set()),
    ("ALTER ROLE shop_report PASSWORD 'another'", set()),
]


def test_every_kind_of_change_shows_in_its_own_entry_and_in_no_other(copy: Copy) -> None:
    with copy.server.session("shop") as look, copy.cluster.session("shop") as session:

        def entries() -> set[tuple[str, str]]:
            shared = catalog._digests(look, (catalog_sql.SHARED,))
            return {*catalog._digests(look, catalog_sql.KINDS).items(), *shared.items()}

        earlier, wrong = entries(), {}
        for statement, expected in CHANGES:
            session.execute(statement.encode())
            now = entries()
            changed = {name for name, _ in earlier ^ now}
            if changed != expected:
                wrong[statement] = changed
            earlier = now
    assert wrong == {}
    assert copy.judge(catalog.CHECK).verdict is Verdict.FAILED
