"""Where evidence lies in the store, and the only module of evidence that reads or writes there.

    evidence/<database>/<region>/<drill>/evidence.json    canonical, chained to the one written before in that region
    evidence/<database>/<region>/<drill>/teardown.json    that nothing was left
    evidence/<database>/<region>/<drill>/report.html      rendered from both, so it may be rendered anew
    evidence/<database>/<region>/<drill>/junit.xml        the same for CI
    evidence/<database>/<region>/<drill>/<record>.signature.json   beside either record, where a key signs them
    evidence/_keys/<key>.pem                              the public half of each key that signed

A record that is there is never written again, so that every step may be repeated. Each region has a chain of its
own, since each cell's evidence is replicated to the other one and neither waits for that.
"""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from pgdrill.errors import Broken, NotRunnable
from pgdrill.evidence import signature
from pgdrill.evidence.chain import Link, next_link, place_of
from pgdrill.evidence.junit import drill_junit
from pgdrill.evidence.record import Evidence, Purpose, Summary, Teardown, canonical, sha256
from pgdrill.evidence.report import report
from pgdrill.evidence.signature import Signer
from pgdrill.points import coverage

ROOT = "evidence"
EVIDENCE = "evidence.json"
TEARDOWN = "teardown.json"
REPORT = "report.html"
JUNIT = "junit.xml"
# No database's name begins so.
KEYS = f"{ROOT}/_keys"
# As many drills as a trend can show and a person compare.
TREND = 50


class Source(Protocol):
    """What reading evidence needs of the store; keys come in order."""

    def get(self, key: str) -> bytes | None: ...

    def keys(self, prefix: str, after: str = "") -> Iterator[str]: ...


class Shelf(Source, Protocol):
    """What writing needs as well."""

    def put(self, key: str, body: bytes, *, content_type: str = ...) -> None: ...


def key(evidence: Evidence, document: str) -> str:
    return f"{ROOT}/{evidence.database}/{evidence.point.region}/{evidence.drill}/{document}"


def save(shelf: Shelf, evidence: Evidence, signer: Signer | None = None) -> str:
    """Write the evidence of a drill, its report and its JUnit XML; return the digest of the evidence.

    Where a drill has evidence already, that stands, and what is rendered is rendered from it.
    """
    place = key(evidence, EVIDENCE)
    body = shelf.get(place)
    if body is None:
        body = canonical(evidence)
        _put_signed(shelf, place, body, signer)
    stands = _evidence(place, body)
    shelf.put(key(stands, JUNIT), drill_junit(stands), content_type="application/xml")
    _put_report(shelf, stands)
    return sha256(body)


def finish(shelf: Shelf, teardown: Teardown, signer: Signer | None = None) -> None:
    """Write that the temporary instance is gone, and render the report with it.

    Raises:
        NotRunnable: there is no evidence of this drill.
    """
    evidence = load(shelf, teardown.drill, teardown.database)
    place = key(evidence, TEARDOWN)
    if shelf.get(place) is None:
        _put_signed(shelf, place, canonical(teardown), signer)
    _put_report(shelf, evidence)


def _put_signed(shelf: Shelf, place: str, body: bytes, signer: Signer | None) -> None:
    """Write a record after its signature: so what lies in the store is never signed because it lies there."""
    if signer:
        made = signature.sign(signer, body)
        known = f"{KEYS}/{made.key.rpartition('/')[2]}.pem"
        if shelf.get(known) is None:
            shelf.put(known, signer.public_key().encode(), content_type="application/x-pem-file")
        shelf.put(beside(place), made.model_dump_json().encode())
    shelf.put(place, body)


def beside(place: str) -> str:
    """Return where the signature of a record lies."""
    return f"{place.removesuffix('.json')}.signature.json"


def load(shelf: Source, drill: str, database: str | None = None, *, region: str | None = None) -> Evidence:
    """Return the evidence of a drill or recovery by its id, or by `latest` that of the newest drill.

    Without a database, all are searched. `latest` is that of one region where it is named, else of both, and never a
    recovery.

    Raises:
        NotRunnable: no such drill, or `latest` of several databases.
        Broken: what lies there is not evidence.
    """
    if drill == "latest":
        found = sorted(_places(shelf, database, region), key=_drill, reverse=True)
    else:
        found = [place for place in _places(shelf, database) if _drill(place) == drill]
    databases = sorted({_database(place) for place in found})
    if len(databases) > 1:
        raise NotRunnable(
            f"drill {drill!r} is there for several databases: {', '.join(databases)}",
            hint="name one of them with --database",
        )
    for place in found:
        body = shelf.get(place)
        if body is None:
            raise Broken(f"evidence {place!r} is listed but not there", hint="it was deleted a moment ago")
        evidence = _evidence(place, body)
        if drill != "latest" or evidence.purpose is Purpose.DRILL:
            return evidence
    of = f" of database {database!r}" if database else ""
    where = f" in {region}" if region and drill == "latest" else ""
    raise NotRunnable(
        f"no evidence of drill {drill!r}{of}{where}", hint="list the drills with: pgdrill evidence list"
    )


def load_teardown(shelf: Source, evidence: Evidence) -> Teardown | None:
    """Return the record of the teardown, None where there is none yet.

    Raises:
        Broken: what lies there is not one.
    """
    place = key(evidence, TEARDOWN)
    body = shelf.get(place)
    if body is None:
        return None
    try:
        return Teardown.model_validate_json(body)
    except ValidationError as error:
        raise _unreadable(place, error) from error


def history(
    shelf: Source,
    database: str | None = None,
    before: str | None = None,
    most: int = TREND,
    *,
    region: str | None = None,
    recoveries: bool = False,
) -> list[Summary]:
    """Return the newest past drills, oldest first; up to the drill `before`, which is not among them.

    Those of one region where it is named, else of both. Recoveries are among them only where they are asked for: nobody
    planned them, so they stand for no drill that is due and no age that is to be proved.

    What cannot be read is left out: a drill must not fail over an old record, and `broken` tells of it.
    """
    places = [place for place in _places(shelf, database, region) if before is None or _drill(place) < before]
    summaries: list[Summary] = []
    for place in sorted(places, key=_drill, reverse=True):
        if len(summaries) == most:
            break
        with contextlib.suppress(Broken):
            summary = Summary.of(_evidence(place, shelf.get(place) or b""))
            if recoveries or summary.purpose is Purpose.DRILL:
                summaries.append(summary)
    return summaries[::-1]


def within(shelf: Source, since: datetime, until: datetime) -> list[Evidence]:
    """Return the drills that began from `since` on and before `until`, oldest first; what cannot be read is left out."""
    first, last = (f"{moment.astimezone(UTC):%Y%m%dt%H%M%S}" for moment in (since, until))
    found = []
    for place in sorted(_places(shelf, None), key=_drill):
        if first <= _drill(place) < last:
            with contextlib.suppress(Broken):
                found.append(_evidence(place, shelf.get(place) or b""))
    return found


def link(shelf: Source, database: str, region: str, drill: str) -> Link:
    """Return the place of a drill in the chain of its database and region, the same however often it is asked.

    That is after the last record that was written, which another drill may have left that began later.
    """
    bodies = {_drill(place): shelf.get(place) or b"" for place in _places(shelf, database, region)}
    stands = bodies.pop(drill, None)
    return place_of(stands) or next_link(list(bodies.values()))


def render(shelf: Source, evidence: Evidence) -> str:
    """Render the report anew, from the records in the store."""
    past = history(shelf, evidence.database, before=evidence.drill, most=coverage.REMEMBERED)
    window = timedelta(seconds=evidence.pitr_window)
    drills = [*past, Summary.of(evidence)] if evidence.purpose is Purpose.DRILL else past
    ages = coverage.ages(drills, evidence.started_at, window)
    signed = signature.read(shelf.get(beside(key(evidence, EVIDENCE))) or b"")
    return report(
        evidence,
        load_teardown(shelf, evidence),
        past[-TREND:],
        ages,
        signed_with=signed.key if signed else None,
    )


def export(shelf: Source, evidence: Evidence, directory: Path) -> Path:
    """Write the report of a drill to a directory, which is made where it is missing; return the file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{evidence.drill}.html"
    path.write_text(render(shelf, evidence), encoding="utf-8")
    return path


def _put_report(shelf: Shelf, evidence: Evidence) -> None:
    place = key(evidence, REPORT)
    shelf.put(place, render(shelf, evidence).encode(), content_type="text/html; charset=utf-8")


def _places(shelf: Source, database: str | None, region: str | None = None) -> list[str]:
    prefix = f"{ROOT}/{database}/" if database else f"{ROOT}/"
    narrowed = f"{prefix}{region}/" if database and region else prefix
    found = [place for place in shelf.keys(narrowed) if place.endswith(f"/{EVIDENCE}")]
    return [place for place in found if region in {None, _region(place)}]


def _database(place: str) -> str:
    return place.split("/")[1]


def _region(place: str) -> str:
    return place.split("/")[2]


def _drill(place: str) -> str:
    return place.split("/")[3]


def _evidence(place: str, body: bytes) -> Evidence:
    try:
        return Evidence.model_validate_json(body)
    except ValidationError as error:
        raise _unreadable(place, error) from error


def _unreadable(place: str, error: ValidationError) -> Broken:
    return Broken(
        f"{place!r} cannot be read: {error.error_count()} problems, the first in {error.errors()[0]['loc']}",
        hint="see whether it was altered, with: pgdrill evidence verify; or a newer pgdrill wrote it",
    )
