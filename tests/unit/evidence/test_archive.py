"""Evidence in the store: written once, chained, found again, whatever else lies there."""

from pathlib import Path

import pytest

from pgdrill.errors import Broken, NotRunnable
from pgdrill.evidence import archive, audit
from pgdrill.evidence.chain import Kind, Link
from pgdrill.evidence.record import Evidence, Purpose, canonical, sha256
from pgdrill.model import PointKind, Verdict
from tests.unit.evidence.drills import Shelf, damaged, drilled, torn_down

REGION = "ap-southeast-1"


@pytest.fixture(name="shelf")
def _shelf() -> Shelf:
    shelf = Shelf()
    shelf.put("witness/shop/2026-11-22/1", b"")
    shelf.put("drills/shop/20261122t060500z-shop/drill.json", b"{}")
    return shelf


def drill(shelf: Shelf, number: int, /, **changes: object) -> Evidence:
    """Run a drill's last two steps: the evidence of this number, chained, and its teardown."""
    evidence = drilled(number, **changes)
    link = archive.link(shelf, evidence.database, evidence.point.region, evidence.drill)
    evidence = drilled(number, **changes, previous_sha256=link.previous_sha256)
    archive.save(shelf, evidence)
    archive.finish(shelf, torn_down(evidence))
    return evidence


def test_a_drill_leaves_its_record_its_teardown_its_report_and_its_junit(shelf: Shelf) -> None:
    evidence = drilled()
    digest = archive.save(shelf, evidence)
    archive.finish(shelf, torn_down(evidence))
    place = "evidence/shop/ap-southeast-1/20261122t060500z-shop"
    assert {key: kind for key, kind in shelf.types.items() if key.startswith("evidence/")} == {
        f"{place}/evidence.json": "application/json",
        f"{place}/teardown.json": "application/json",
        f"{place}/report.html": "text/html; charset=utf-8",
        f"{place}/junit.xml": "application/xml",
    }
    assert shelf.held[f"{place}/evidence.json"] == canonical(evidence)
    assert digest == sha256(canonical(evidence))


def test_the_report_is_there_before_the_teardown_and_tells_of_it_after(shelf: Shelf) -> None:
    evidence = drilled()
    archive.save(shelf, evidence)
    place = archive.key(evidence, archive.REPORT)
    assert b"This report was written before the teardown." in shelf.held[place]
    archive.finish(shelf, torn_down(evidence))
    assert b"DescribeDBInstances answered DBInstanceNotFound" in shelf.held[place]


def test_evidence_that_is_there_stands(shelf: Shelf) -> None:
    first = archive.save(shelf, drilled())
    again = archive.save(shelf, drilled(verdict=Verdict.FAILED, verdict_reason="on second thoughts"))
    assert again == first
    assert archive.load(shelf, drilled().drill) == drilled()
    assert b"on second thoughts" not in shelf.held[archive.key(drilled(), archive.JUNIT)]


def test_a_teardown_that_is_there_stands(shelf: Shelf) -> None:
    archive.save(shelf, drilled())
    archive.finish(shelf, torn_down(drilled()))
    archive.finish(shelf, torn_down(drilled(), proof="another"))
    kept = archive.load_teardown(shelf, drilled())
    assert kept is not None
    assert kept.proof == "DescribeDBInstances answered DBInstanceNotFound"


def test_a_drill_without_evidence_has_no_teardown_record(shelf: Shelf) -> None:
    with pytest.raises(NotRunnable) as caught:
        archive.finish(shelf, torn_down(drilled()))
    assert caught.value.message == "no evidence of drill '20261122t060500z-shop' of database 'shop'"
    assert caught.value.hint == "list the drills with: pgdrill evidence list"


def test_a_drill_is_found_by_its_id_and_the_newest_as_latest(shelf: Shelf) -> None:
    first, second = drill(shelf, 1), drill(shelf, 2)
    assert archive.load(shelf, first.drill) == first
    assert archive.load(shelf, "latest", "shop") == second


def test_latest_is_a_drill_of_the_region_that_is_named_and_never_a_recovery(shelf: Shelf) -> None:
    away = drilled().point.model_copy(update={"region": "ap-northeast-1", "kind": PointKind.COPY})
    first, second = drill(shelf, 1), drill(shelf, 2, point=away)
    recovered = drill(shelf, 3, purpose=Purpose.RECOVERY)
    for database in (None, "shop"):
        assert archive.load(shelf, "latest", database) == second
        assert archive.load(shelf, "latest", database, region=REGION) == first
        assert archive.load(shelf, "latest", database, region="ap-northeast-1") == second
    assert archive.load(shelf, recovered.drill, "shop", region="ap-northeast-1") == recovered


def test_a_region_in_which_only_a_recovery_was_has_no_latest_drill(shelf: Shelf) -> None:
    drill(shelf, 3, purpose=Purpose.RECOVERY)
    with pytest.raises(NotRunnable) as caught:
        archive.load(shelf, "latest", "shop", region=REGION)
    assert caught.value.message == "no evidence of drill 'latest' of database 'shop' in ap-southeast-1"
    assert caught.value.hint == "list the drills with: pgdrill evidence list"


def test_the_latest_of_several_databases_needs_a_name(shelf: Shelf) -> None:
    drill(shelf, 1)
    drill(shelf, 1, database="bank", drill="20261122t060500z-bank")
    with pytest.raises(NotRunnable) as caught:
        archive.load(shelf, "latest")
    assert caught.value.message == "drill 'latest' is there for several databases: bank, shop"
    assert caught.value.hint == "name one of them with --database"
    assert audit.databases(shelf) == ["bank", "shop"]


def test_a_database_whose_name_begins_like_another_is_another(shelf: Shelf) -> None:
    drill(shelf, 1, database="shop-eu", drill="20261122t060500z-shop-eu")
    assert archive.history(shelf, "shop") == []
    assert archive.link(shelf, "shop", REGION, "20270101t000000z-shop") == Link(1, None)


def test_what_cannot_be_read_is_told_with_its_key(shelf: Shelf) -> None:
    place = archive.key(drilled(drill="x"), archive.EVIDENCE)
    shelf.put(place, b"{}")
    with pytest.raises(Broken) as caught:
        archive.load(shelf, "x")
    assert caught.value.message.startswith("'evidence/shop/ap-southeast-1/x/evidence.json' cannot be read: 1")
    assert caught.value.hint == (
        "see whether it was altered, with: pgdrill evidence verify; or a newer pgdrill wrote it"
    )


def test_a_drill_is_linked_to_the_one_before_it(shelf: Shelf) -> None:
    first = drill(shelf, 1)
    assert archive.link(shelf, "shop", REGION, drilled(2).drill) == Link(2, sha256(canonical(first)))


def test_a_drill_that_is_judged_again_has_the_same_place(shelf: Shelf) -> None:
    first, second = drill(shelf, 1), drill(shelf, 2)
    assert archive.link(shelf, "shop", REGION, second.drill) == Link(2, sha256(canonical(first)))


def judged(shelf: Shelf, drill: str, **changes: object) -> Evidence:
    """Link and save a drill that began at that time of one day, as its judge does."""
    link = archive.link(shelf, "shop", REGION, drill)
    evidence = drilled(1, drill=drill, **link._asdict(), **changes)
    archive.save(shelf, evidence)
    return evidence


def test_a_recovery_that_begins_during_a_drill_and_is_judged_before_it_breaks_no_chain(shelf: Shelf) -> None:
    judged(shelf, "20261121t100000000z-shop")
    recovery = judged(shelf, "20261122t103000000z-shop", purpose=Purpose.RECOVERY)
    late = judged(shelf, "20261122t100000000z-shop")
    after = judged(shelf, "20261123t100000000z-shop")
    assert (late.number, late.previous_sha256) == (3, sha256(canonical(recovery)))
    assert (after.number, after.previous_sha256) == (4, sha256(canonical(late)))
    assert audit.broken(shelf, "shop") == []
    del shelf.held[archive.key(recovery, archive.EVIDENCE)]
    assert [(found.drill, found.kind, found.what) for found in audit.broken(shelf, "shop")] == [
        (late.drill, Kind.DROPPED, "is number 3 and comes after number 1; 1 between are missing")
    ]


def test_a_drill_that_is_judged_again_after_another_was_has_the_same_place(shelf: Shelf) -> None:
    early = judged(shelf, "20261121t100000000z-shop")
    judged(shelf, "20261120t100000000z-shop")
    assert archive.link(shelf, "shop", REGION, early.drill) == Link(1, None)


def test_two_that_are_judged_at_the_same_moment_are_told_as_a_fork_and_the_chain_goes_on(
    shelf: Shelf,
) -> None:
    judged(shelf, "20261121t100000000z-shop")
    names = ("20261122t100000000z-shop", "20261122t103000000z-shop")
    links = [archive.link(shelf, "shop", REGION, name) for name in names]
    for name, link in zip(names, links, strict=True):
        archive.save(shelf, drilled(1, drill=name, **link._asdict()))
    assert judged(shelf, "20261123t100000000z-shop").number == 3
    assert [(found.drill, found.kind, found.what) for found in audit.broken(shelf, "shop")] == [
        (names[1], Kind.FORKED, f"is number 2 after the same record as drill {names[0]}")
    ]


def test_history_is_oldest_first_and_ends_before_the_drill_in_question(shelf: Shelf) -> None:
    drills = [drill(shelf, number).drill for number in (3, 1, 2)]
    assert [past.drill for past in archive.history(shelf, "shop")] == sorted(drills)
    assert [past.drill for past in archive.history(shelf, "shop", before=drilled(3).drill)] == [
        drilled(1).drill,
        drilled(2).drill,
    ]


def test_history_holds_no_more_than_can_be_compared(shelf: Shelf) -> None:
    for number in range(1, 5):
        drill(shelf, number)
    assert [past.drill for past in archive.history(shelf, "shop", most=2)] == [
        drilled(3).drill,
        drilled(4).drill,
    ]


def test_a_recovery_is_no_drill_unless_it_is_asked_for(shelf: Shelf) -> None:
    first = drill(shelf, 1)
    recovered = drill(shelf, 2, purpose=Purpose.RECOVERY)
    assert [past.drill for past in archive.history(shelf, "shop", most=1)] == [first.drill]
    told = archive.history(shelf, "shop", recoveries=True)
    assert [(past.drill, past.purpose) for past in told] == [
        (first.drill, Purpose.DRILL),
        (recovered.drill, Purpose.RECOVERY),
    ]


def test_a_recovery_proves_no_age_of_the_pitr_window_in_its_own_report(shelf: Shelf) -> None:
    pitr = drilled(1).point.model_copy(update={"kind": PointKind.PITR})
    proved = "1 of 28 ages, each of six hours, came back in a drill"
    assert proved in archive.render(shelf, drilled(1, point=pitr))
    assert proved not in archive.render(shelf, drilled(1, point=pitr, purpose=Purpose.RECOVERY))


def test_an_old_record_that_cannot_be_read_does_not_stop_a_drill(shelf: Shelf) -> None:
    first = drill(shelf, 1)
    shelf.put(archive.key(first, archive.EVIDENCE), b"{}")
    second = drill(shelf, 2)
    assert [past.drill for past in archive.history(shelf, "shop")] == [second.drill]
    assert second.previous_sha256 == sha256(b"{}")


def test_untouched_evidence_is_whole(shelf: Shelf) -> None:
    for number in range(1, 4):
        drill(shelf, number)
    assert audit.broken(shelf, "shop") == []


def test_evidence_altered_in_the_store_is_found_by_its_teardown_even_if_it_is_the_newest(
    shelf: Shelf,
) -> None:
    drill(shelf, 1)
    last = drill(shelf, 2)
    forged = last.model_copy(update={"verdict_reason": "all is well"})
    shelf.put(archive.key(last, archive.EVIDENCE), canonical(forged))
    assert [(found.drill, found.kind) for found in audit.broken(shelf, "shop")] == [
        (last.drill, Kind.ALTERED)
    ]


def test_evidence_deleted_from_the_store_is_found(shelf: Shelf) -> None:
    drills = [drill(shelf, number) for number in range(1, 4)]
    del shelf.held[archive.key(drills[1], archive.EVIDENCE)]
    assert [(found.drill, found.kind) for found in audit.broken(shelf, "shop")] == [
        (drills[1].drill, Kind.DROPPED),
        (drills[2].drill, Kind.DROPPED),
    ]


def test_each_region_has_a_chain_of_its_own_so_that_replicated_evidence_breaks_none(shelf: Shelf) -> None:
    copy = drilled().point.model_copy(update={"region": "ap-northeast-1", "kind": PointKind.COPY})
    drill(shelf, 1)
    away = drill(shelf, 2, point=copy, number=1)
    assert away.previous_sha256 is None
    assert archive.link(shelf, "shop", REGION, drilled(3).drill).number == 2
    assert audit.broken(shelf, "shop") == []
    assert [one.kind for one in archive.history(shelf, "shop")] == [PointKind.SNAPSHOT, PointKind.COPY]
    assert [one.kind for one in archive.history(shelf, "shop", region=REGION)] == [PointKind.SNAPSHOT]


def test_the_drills_of_a_period_are_those_that_began_in_it(shelf: Shelf) -> None:
    drills = [drill(shelf, number) for number in range(1, 4)]
    assert archive.within(shelf, drills[1].started_at, drills[2].started_at) == [drills[1]]


def test_a_teardown_that_cannot_be_read_is_found(shelf: Shelf) -> None:
    only = drill(shelf, 1)
    shelf.put(archive.key(only, archive.TEARDOWN), b"?")
    (found,) = audit.broken(shelf, "shop")
    assert found.kind is Kind.ALTERED
    assert found.what.endswith("its teardown says nothing that can be read")


def test_a_report_is_written_to_a_folder(shelf: Shelf, tmp_path: Path) -> None:
    archive.save(shelf, damaged())
    path = archive.export(shelf, damaged(), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "20261122t060500z-shop.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
