from pgdrill.checks.catalog import CHECK, SERVER, CatalogFact
from pgdrill.content.unread import Unread
from pgdrill.model import Verdict
from tests.unit.checks.cases import by_itself, case


def fact(shared: dict[str, str] | None = None, **databases: dict[str, str]) -> CatalogFact:
    return CatalogFact(role="master", objects={SERVER: shared or {"database shop": "1"}, **databases})


SHOP = {"table shop.orders": "1", "policy own on shop.orders": "2"}
SEALED = fact(shop=SHOP)


def test_a_catalog_as_it_was_passes_and_counts_its_objects() -> None:
    judgement = CHECK.judge(SEALED, case("catalog", SEALED, SEALED))
    assert (judgement.verdict, judgement.reason) == (
        Verdict.PASSED,
        "every object is as it was in production",
    )
    assert judgement.coverage == "3 objects in 1 database, against the seals before and after the point"


def test_an_object_that_is_missing_or_altered_fails_and_is_named() -> None:
    restored = fact(shop={"table shop.orders": "9"})
    judgement = CHECK.judge(restored, case("catalog", SEALED, SEALED))
    assert judgement.verdict is Verdict.FAILED
    assert [(one.object, one.what) for one in judgement.damage] == [
        ("policy own on shop.orders", "missing"),
        ("table shop.orders", "differs"),
    ]


def test_a_missing_table_is_told_before_its_parts() -> None:
    sealed = fact(
        shop={"column shop.orders.id": "1", "index shop.orders_pkey": "2", "table shop.orders": "3"}
    )
    judgement = CHECK.judge(fact(shop={}), case("catalog", sealed, sealed))
    assert judgement.reason == "not as in production: object table shop.orders missing and 2 more"
    assert [one.object for one in judgement.damage] == [
        "table shop.orders",
        "column shop.orders.id",
        "index shop.orders_pkey",
    ]


def test_a_missing_database_is_one_difference() -> None:
    restored = fact(shared={"role r": "1"})
    judgement = CHECK.judge(restored, case("catalog", fact({"database shop": "1", "role r": "1"}, shop=SHOP)))
    assert [one.object for one in judgement.damage] == ["database shop"]


def test_what_the_examination_granted_to_its_own_role_is_not_productions() -> None:
    granted = fact({"database shop": "1", "membership master in pg_read_all_data by master": "1"}, shop=SHOP)
    assert CHECK.judge(granted, case("catalog", SEALED, SEALED)).verdict is Verdict.PASSED
    others = fact({"database shop": "1", "membership guest in pg_read_all_data by master": "1"}, shop=SHOP)
    assert CHECK.judge(others, case("catalog", SEALED, SEALED)).verdict is Verdict.FAILED
    assert CHECK.judge(SEALED, case("catalog", granted, granted)).verdict is Verdict.FAILED


def test_ddl_between_the_seals_is_no_alarm() -> None:
    later = fact(shop={**SHOP, "index shop.orders_at": "3"})
    for restored in (SEALED, later):
        assert CHECK.judge(restored, case("catalog", SEALED, later)).verdict is Verdict.PASSED
    between = fact(shop={**SHOP, "index shop.orders_at": "4"})
    assert CHECK.judge(between, case("catalog", SEALED, later)).verdict is Verdict.INCONCLUSIVE


def test_no_seal_is_inconclusive() -> None:
    for known in (case("catalog"), by_itself("catalog")):
        judgement = CHECK.judge(SEALED, known)
        assert (judgement.verdict, judgement.reason) == (Verdict.INCONCLUSIVE, "no seal to compare with")


def test_a_catalog_that_cannot_be_read_for_damage_fails() -> None:
    why = Unread(error="DataCorrupted", sqlstate="XX001", saying="invalid page", where="block 2 of pg_class")
    damaged = SEALED.model_copy(update={"unread": {"shop": why}})
    judgement = CHECK.judge(damaged, case("catalog", SEALED, SEALED))
    assert (judgement.verdict, judgement.reason) == (
        Verdict.FAILED,
        "the catalog of shop cannot be read: invalid page: block 2 of pg_class (XX001)",
    )
