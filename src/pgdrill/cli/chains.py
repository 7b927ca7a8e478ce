"""What `pgdrill evidence verify` goes through, and what it tells. Reads the stores that it is given, and writes nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pgdrill.cell import Cell
from pgdrill.cli.context import out, print_json
from pgdrill.errors import DrillError
from pgdrill.evidence import audit, comparison, terminal
from pgdrill.evidence.archive import Source
from pgdrill.evidence.chain import Break
from pgdrill.evidence.comparison import Compared
from pgdrill.evidence.verification import Verifier
from pgdrill.evidence.wording import plural
from pgdrill.model import Verdict


class Asked(NamedTuple):
    """The stores by region, first the one to be verified; and of which databases there should be evidence."""

    stores: Mapping[str, Source]
    databases: Sequence[str] = ()
    notes: Sequence[str] = ()


class Verified(NamedTuple):
    """`breaks` by database, None where there is no evidence of it; `signed` tells by region whether that was looked at."""

    breaks: Mapping[str, Sequence[Break] | None]
    signed: Mapping[str, bool]
    compared: Sequence[str]
    notes: Sequence[str]

    @property
    def verdict(self) -> Verdict:
        if any(self.breaks.values()):
            return Verdict.FAILED
        return Verdict.PASSED if self.breaks and None not in self.breaks.values() else Verdict.INCONCLUSIVE


def both(here: Cell, there: Cell) -> Asked:
    """Ask for the store of the first cell, and for the second to compare with; one that does not answer is told."""
    planned = [database.name for database in here.plan.databases]
    stores = {here.place.region: here.store}
    try:
        others = audit.databases(there.store)
    except DrillError as error:
        told = f"not compared with the bucket in {there.place.region}: {error.message}"
        return Asked(stores, planned, [told])
    return Asked(stores | {there.place.region: there.store}, [*planned, *others])


def verify(asked: Asked, database: str | None, verifier: Verifier | None) -> Verified:
    """Go through the evidence of one database, or of all that there should be and all that there is."""
    source = next(iter(asked.stores.values()))
    names = [database] if database else sorted({*asked.databases, *audit.databases(source)})
    places = {name: audit.places(source, name) for name in names}
    compared = {name: comparison.compare(asked.stores, name) for name in names}
    regions = sorted({place.region for each in places.values() for place in each})
    signed = {region: bool(verifier and verifier.checks(region)) for region in regions}
    return Verified(
        breaks={
            name: [*audit.broken(source, name, verifier), *compared[name].breaks]
            if places[name] or compared[name].breaks
            else None
            for name in names
        },
        signed=signed,
        compared=list(asked.stores) if len(asked.stores) > 1 else [],
        notes=[*asked.notes, *_unsigned(signed, verifier), *_missing(compared.values())],
    )


def tell(verified: Verified) -> None:
    out.print(terminal.chains(verified.breaks))
    for note in verified.notes:
        out.print(note, markup=False, soft_wrap=True)


def tell_as_json(verified: Verified) -> None:
    found = {name: breaks for name, breaks in verified.breaks.items() if breaks is not None}
    print_json(
        {
            "breaks": {
                name: [one.model_dump(mode="json") for one in breaks] for name, breaks in found.items()
            },
            "without_evidence": sorted(verified.breaks.keys() - found.keys()),
            "signatures_checked": verified.signed,
            "buckets_compared": verified.compared,
            "notes": verified.notes,
        }
    )


def _unsigned(signed: Mapping[str, bool], verifier: Verifier | None) -> Iterator[str]:
    if verifier is None:
        yield "signatures were not checked: give the key with --public-key"
        return
    for region in (region for region, checked in signed.items() if not checked):
        yield f"signatures in {region} were not checked: the plan names no key there"


def _missing(compared: Iterable[Compared]) -> Iterator[str]:
    for one in (missing for each in compared for missing in each.missing):
        yield (
            f"{plural(one.records, 'record')} of {one.region} not in the bucket in {one.bucket}:"
            " not replicated yet, or deleted there"
        )
