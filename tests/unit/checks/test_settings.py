from typing import Any

import pytest

from pgdrill.checks.settings import CHECK, SettingsFact
from pgdrill.model import Judgement, Verdict
from tests.unit.checks.cases import by_itself, case

SEALED = SettingsFact(
    version_num=150017,
    version="15.17",
    checksums=True,
    in_recovery=False,
    databases={"shop": "UTF8 C.UTF-8 C.UTF-8 c"},
    parameters={"default_transaction_isolation": "serializable"},
)


def judged(**restored: Any) -> Judgement:
    return CHECK.judge(SEALED.model_copy(update=restored), case("settings", SEALED, SEALED))


def test_a_server_as_production_was_passes() -> None:
    judgement = judged()
    assert (judgement.verdict, judgement.reason) == (
        Verdict.PASSED,
        "PostgreSQL 15.17, checksums on, locales as in production",
    )


@pytest.mark.parametrize(
    ("restored", "reason"),
    [
        ({"version_num": 160004}, "PostgreSQL 16 was restored, production ran 15"),
        ({"checksums": False}, "data checksums are off, and were on in production"),
        ({"in_recovery": True}, "the server is in recovery"),
        (
            {"databases": {"shop": "UTF8 en_US.UTF-8 en_US.UTF-8 c"}},
            "not as in production: encoding or collation of database shop differs",
        ),
    ],
)
def test_what_changes_the_meaning_of_rows_fails(restored: dict[str, Any], reason: str) -> None:
    judgement = judged(**restored)
    assert (judgement.verdict, judgement.reason) == (Verdict.FAILED, reason)
    assert judgement.hint


def test_a_minor_upgrade_and_parameters_of_the_drills_own_group_are_told_and_pass() -> None:
    judgement = judged(version_num=150018, version="15.18", parameters={})
    assert judgement.verdict is Verdict.PASSED
    assert judgement.reason == (
        "PostgreSQL 15.18, checksums on, locales as in production; minor version 15.18, was 15.17;"
        " parameters of its own: default_transaction_isolation"
    )


def test_a_major_upgrade_of_production_between_the_seals_allows_both() -> None:
    upgraded = SEALED.model_copy(update={"version_num": 160004, "version": "16.4"})
    for restored in (SEALED, upgraded):
        assert CHECK.judge(restored, case("settings", SEALED, upgraded)).verdict is Verdict.PASSED


def test_checksums_that_are_off_everywhere_prove_nothing() -> None:
    off = SEALED.model_copy(update={"checksums": False})
    assert CHECK.judge(off, case("settings", off, off)).verdict is Verdict.INCONCLUSIVE
    assert CHECK.judge(off, by_itself("settings")).verdict is Verdict.INCONCLUSIVE


def test_a_drill_without_a_seal_is_inconclusive_and_a_verification_judges_the_server_alone() -> None:
    assert CHECK.judge(SEALED, case("settings")).verdict is Verdict.INCONCLUSIVE
    assert CHECK.judge(SEALED, by_itself("settings")).verdict is Verdict.PASSED
