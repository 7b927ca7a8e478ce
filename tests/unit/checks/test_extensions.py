from pgdrill.checks.extensions import CHECK, Extension, ExtensionsFact
from pgdrill.model import Verdict
from tests.unit.checks.cases import by_itself, case

SOUND = Extension(version="1.8", available="1.8", tried=1)


def fact(one: Extension | None = SOUND) -> ExtensionsFact:
    return ExtensionsFact(databases={"shop": {"hstore": one} if one else {}})


def test_extensions_as_in_production_pass() -> None:
    judgement = CHECK.judge(fact(), case("extensions", fact(), fact()))
    assert (judgement.verdict, judgement.coverage) == (
        Verdict.PASSED,
        "1 extension in 1 database, libraries loaded: 1",
    )


def test_an_extension_missing_or_of_another_version_fails() -> None:
    for restored in (fact(None), fact(SOUND.model_copy(update={"version": "1.4"}))):
        assert CHECK.judge(restored, case("extensions", fact(), fact())).verdict is Verdict.FAILED


def test_an_extension_that_the_engine_cannot_run_fails_without_any_seal() -> None:
    unknown = fact(SOUND.model_copy(update={"available": None}))
    judgement = CHECK.judge(unknown, by_itself("extensions"))
    assert (judgement.verdict, judgement.damage[0].what) == (Verdict.FAILED, "is not known to this engine")
    broken = fact(SOUND.model_copy(update={"refused": "58P01"}))
    judgement = CHECK.judge(broken, by_itself("extensions"))
    assert (judgement.verdict, judgement.damage[0].what) == (
        Verdict.FAILED,
        "has a library that does not load (58P01)",
    )


def test_an_older_version_than_the_engine_has_is_no_fault_of_the_restore() -> None:
    older = fact(SOUND.model_copy(update={"available": "1.9"}))
    assert CHECK.judge(older, case("extensions", fact(), fact())).verdict is Verdict.PASSED


def test_a_drill_without_a_seal_is_inconclusive() -> None:
    assert CHECK.judge(fact(), case("extensions")).verdict is Verdict.INCONCLUSIVE
    assert CHECK.judge(fact(), by_itself("extensions")).verdict is Verdict.PASSED
