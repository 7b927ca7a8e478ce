"""Signed evidence: what is done to it by somebody who has the bucket but not the key is found, wherever it shows."""

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.errors import NotRunnable
from pgdrill.evidence import archive, audit
from pgdrill.evidence.chain import Kind
from pgdrill.evidence.record import Evidence, canonical, sha256
from pgdrill.evidence.signature import Signature, sign
from pgdrill.evidence.verification import Verifier, public_key
from tests.unit.evidence.drills import Shelf, drilled, torn_down
from tests.unit.evidence.pen import Pen

REGION = "ap-southeast-1"
LENGTH = 4


OURS, THEIRS = Pen("ours"), Pen("theirs")
TRUSTED = public_key(OURS.public_key().encode(), "the test's")
VERIFIER = Verifier(lambda _: [TRUSTED])


def drills(shelf: Shelf, pen: Pen | None = OURS, *, day: int = 1, **changes: object) -> list[Evidence]:
    """Leave four drills, each with its teardown, in a chain; the first is that of `day`."""
    made: list[Evidence] = []
    for one in range(day, day + LENGTH):
        alone = drilled(one, **changes)
        link = archive.link(shelf, alone.database, alone.point.region, alone.drill)
        made.append(drilled(one, **changes, **link._asdict()))
        archive.save(shelf, made[-1], pen)
        archive.finish(shelf, torn_down(made[-1]), pen)
    return made


@pytest.fixture(name="shelf")
def _shelf() -> Shelf:
    return Shelf()


def found(shelf: Shelf, database: str = "shop") -> list[tuple[str, Kind, str]]:
    return [(one.drill, one.kind, one.what) for one in audit.broken(shelf, database, VERIFIER)]


def record(evidence: Evidence) -> str:
    return archive.key(evidence, archive.EVIDENCE)


def teardown(evidence: Evidence) -> str:
    return archive.key(evidence, archive.TEARDOWN)


def forge(shelf: Shelf, place: str, body: bytes, pen: Pen) -> None:
    shelf.put(place, body)
    shelf.put(archive.beside(place), sign(pen, body).model_dump_json().encode())


def test_signed_evidence_is_whole(shelf: Shelf) -> None:
    drills(shelf)
    assert found(shelf) == []


def test_a_signature_names_the_key_and_what_was_signed(shelf: Shelf) -> None:
    only = drills(shelf)[0]
    kept = Signature.model_validate_json(shelf.held[archive.beside(record(only))])
    assert (kept.key, kept.sha256, kept.algorithm) == (OURS.arn, sha256(canonical(only)), "ECDSA_SHA_256")


def test_a_signature_is_what_openssl_verifies_the_file_with(shelf: Shelf) -> None:
    """ECDSA over the file with SHA-256, in DER: `openssl dgst -sha256 -verify`. Raises where it does not hold."""
    only = drills(shelf)[0]
    kept = Signature.model_validate_json(shelf.held[archive.beside(record(only))])
    TRUSTED.verify(base64.b64decode(kept.signature), shelf.held[record(only)], ec.ECDSA(SHA256()))


def test_the_public_key_is_kept_once(shelf: Shelf) -> None:
    pen = Pen("another")
    drills(shelf, pen)
    assert shelf.held["evidence/_keys/another.pem"].decode() == pen.public_key()
    assert pen.asked == 2
    assert audit.databases(shelf) == ["shop"]


def test_without_a_key_nothing_is_signed_and_nothing_is_missed(shelf: Shelf) -> None:
    drills(shelf, None)
    assert not any("signature" in key or "_keys" in key for key in shelf.held)
    assert audit.broken(shelf, "shop") == []
    assert audit.broken(shelf, "shop", Verifier(lambda _: None)) == []


def test_a_record_is_signed_before_it_is_there() -> None:
    """So that what somebody put into the store is never signed because it lies there."""
    order: list[str] = []

    class Watched(Shelf):
        def put(self, key: str, body: bytes, *, content_type: str = "application/json") -> None:
            order.append(key.rpartition("/")[2])
            super().put(key, body, content_type=content_type)

    archive.save(Watched(), drilled(), OURS)
    assert order == ["ours.pem", "evidence.signature.json", "evidence.json", "junit.xml", "report.html"]


def test_what_lies_in_the_store_is_not_signed_because_it_lies_there(shelf: Shelf) -> None:
    planted = drilled(1, verdict_reason="all is well")
    shelf.put(record(planted), canonical(planted))
    archive.save(shelf, drilled(1), OURS)
    assert found(shelf) == [(planted.drill, Kind.UNSIGNED, "is not signed")]


@pytest.mark.parametrize("index", range(LENGTH))
def test_an_unsigned_record_is_found(shelf: Shelf, index: int) -> None:
    one = drills(shelf)[index]
    del shelf.held[archive.beside(record(one))]
    assert found(shelf) == [(one.drill, Kind.UNSIGNED, "is not signed")]


def test_an_unsigned_teardown_is_found(shelf: Shelf) -> None:
    one = drills(shelf)[1]
    del shelf.held[archive.beside(teardown(one))]
    assert found(shelf) == [(one.drill, Kind.UNSIGNED, "has a teardown that is not signed")]


def test_a_record_altered_with_its_teardown_and_the_newest_of_all_is_found(shelf: Shelf) -> None:
    """The chain alone does not show this one: nothing comes after it, and its teardown agrees."""
    last = drills(shelf)[-1]
    altered = last.model_copy(update={"verdict_reason": "all is well"})
    shelf.put(record(last), canonical(altered))
    shelf.put(teardown(last), canonical(torn_down(altered)))
    assert audit.broken(shelf, "shop") == []
    digests = [sha256(canonical(torn_down(one))) for one in (altered, last)]
    assert found(shelf) == [
        (
            last.drill,
            Kind.ALTERED,
            f"has SHA-256 {sha256(canonical(altered))}, its signature says {sha256(canonical(last))}",
        ),
        (
            last.drill,
            Kind.ALTERED,
            f"has a teardown that has SHA-256 {digests[0]}, its signature says {digests[1]}",
        ),
    ]


def test_a_whole_chain_written_anew_with_another_key_is_found(shelf: Shelf) -> None:
    made = drills(shelf, THEIRS)
    assert audit.broken(shelf, "shop") == []
    what = f"is not signed with a key that is trusted here; its signature names {THEIRS.arn}"
    assert found(shelf) == [
        (one.drill, Kind.FORGED, told) for one in made for told in (what, f"has a teardown that {what}")
    ]


def test_another_key_that_calls_itself_ours_is_found(shelf: Shelf) -> None:
    last = drills(shelf)[-1]
    body = canonical(last.model_copy(update={"verdict_reason": "all is well"}))
    made = sign(THEIRS, body).model_copy(update={"key": OURS.arn})
    shelf.put(record(last), body)
    shelf.put(archive.beside(record(last)), made.model_dump_json().encode())
    del shelf.held[teardown(last)], shelf.held[archive.beside(teardown(last))]
    assert found(shelf) == [
        (
            last.drill,
            Kind.FORGED,
            f"is not signed with a key that is trusted here; its signature names {OURS.arn}",
        )
    ]


def test_two_signatures_that_changed_places_are_found(shelf: Shelf) -> None:
    first, second = drills(shelf)[:2]
    here, there = archive.beside(record(first)), archive.beside(record(second))
    shelf.held[here], shelf.held[there] = shelf.held[there], shelf.held[here]
    digests = sha256(canonical(first)), sha256(canonical(second))
    assert found(shelf) == [
        (first.drill, Kind.ALTERED, f"has SHA-256 {digests[0]}, its signature says {digests[1]}"),
        (second.drill, Kind.ALTERED, f"has SHA-256 {digests[1]}, its signature says {digests[0]}"),
    ]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "has a signature that cannot be read"),
        (b"{}", "has a signature that cannot be read"),
    ],
)
def test_a_signature_that_is_none_is_found(shelf: Shelf, body: bytes, what: str) -> None:
    one = drills(shelf)[0]
    shelf.put(archive.beside(record(one)), body)
    assert found(shelf) == [(one.drill, Kind.FORGED, what)]


def test_a_signature_that_is_not_base64_does_not_hold(shelf: Shelf) -> None:
    one = drills(shelf)[0]
    kept = Signature.model_validate_json(shelf.held[archive.beside(record(one))])
    broken = kept.model_copy(update={"signature": "?"})
    shelf.put(archive.beside(record(one)), broken.model_dump_json().encode())
    assert [(drill, kind) for drill, kind, _ in found(shelf)] == [(one.drill, Kind.FORGED)]


def test_the_newest_record_dropped_alone_is_found(shelf: Shelf) -> None:
    last = drills(shelf)[-1]
    del shelf.held[record(last)]
    assert found(shelf) == [(last.drill, Kind.DROPPED, "is gone; its signature or its teardown is there")]


def test_a_dropped_teardown_is_found(shelf: Shelf) -> None:
    one = drills(shelf)[2]
    del shelf.held[teardown(one)]
    assert found(shelf) == [
        (one.drill, Kind.DROPPED, "has no teardown any more; the signature of one is there")
    ]


def test_a_drill_dropped_whole_is_found_at_the_next(shelf: Shelf) -> None:
    made = drills(shelf)
    for key in [key for key in shelf.held if f"/{made[1].drill}/" in key]:
        del shelf.held[key]
    assert found(shelf) == [
        (
            made[2].drill,
            Kind.DROPPED,
            "is number 3 and comes after number 1; 1 between are missing",
        )
    ]


def test_the_newest_drill_dropped_whole_does_not_show(shelf: Shelf) -> None:
    """What docs/evidence.md says of it: Object Lock and versions stand against that, no signature can."""
    last = drills(shelf)[-1]
    for key in [key for key in shelf.held if f"/{last.drill}/" in key]:
        del shelf.held[key]
    assert found(shelf) == []


def test_two_drills_that_changed_places_with_their_signatures_are_found(shelf: Shelf) -> None:
    first, second = drills(shelf)[1:3]
    for place in (
        record,
        teardown,
        lambda one: archive.beside(record(one)),
        lambda one: archive.beside(teardown(one)),
    ):
        here, there = place(first), place(second)
        shelf.held[here], shelf.held[there] = shelf.held[there], shelf.held[here]
    told = found(shelf)
    assert {(drill, kind) for drill, kind, _ in told} >= {
        (first.drill, Kind.REORDERED),
        (second.drill, Kind.REORDERED),
    }


def test_the_signed_chain_of_another_database_in_its_place_is_found(shelf: Shelf) -> None:
    made = drills(shelf, database="bank")
    for key in [key for key in shelf.held if key.startswith("evidence/bank/")]:
        shelf.held[key.replace("/bank/", "/shop/")] = shelf.held[key]
    assert found(shelf, "bank") == []
    assert found(shelf) == [
        (one.drill, Kind.REORDERED, f"holds evidence of database bank in {REGION}") for one in made
    ]


def test_each_region_is_verified_with_its_own_key(shelf: Shelf) -> None:
    here = drills(shelf)
    copy = here[0].point.model_copy(update={"region": "ap-northeast-1"})
    there = drills(shelf, THEIRS, day=11, point=copy)
    theirs = public_key(THEIRS.public_key().encode(), "the test's")
    keys = {REGION: [TRUSTED], "ap-northeast-1": [theirs]}
    assert audit.broken(shelf, "shop", Verifier(keys.__getitem__)) == []
    swapped = {REGION: [theirs], "ap-northeast-1": [TRUSTED]}
    told = audit.broken(shelf, "shop", Verifier(swapped.__getitem__))
    assert {one.kind for one in told} == {Kind.FORGED}
    assert len(told) == 2 * len(here) + 2 * len(there)
    unsigned = {REGION: [TRUSTED], "ap-northeast-1": None}
    assert audit.broken(shelf, "shop", Verifier(unsigned.__getitem__)) == []


def test_a_key_that_was_replaced_is_trusted_where_it_is_given_too(shelf: Shelf) -> None:
    drills(shelf, THEIRS)
    theirs = public_key(THEIRS.public_key().encode(), "the test's")
    assert audit.broken(shelf, "shop", Verifier(lambda _: [TRUSTED, theirs])) == []


BODY = canonical(drilled())
SIGNED = sign(OURS, BODY)


def faulty(body: bytes, signature: Signature) -> Kind | None:
    fault = VERIFIER.fault(REGION, body, signature.model_dump_json().encode())
    return fault and fault.kind


def changed(data: st.DataObject, body: bytes) -> bytes:
    """Return the bytes with one of them another."""
    at = data.draw(st.integers(0, len(body) - 1))
    return body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]


@given(st.data())
def test_no_byte_of_a_record_can_be_another(data: st.DataObject) -> None:
    body = changed(data, BODY)
    assert faulty(BODY, SIGNED) is None
    assert faulty(body, SIGNED) is Kind.ALTERED
    assert faulty(body, SIGNED.model_copy(update={"sha256": sha256(body)})) is Kind.FORGED


@given(st.data())
def test_no_byte_of_a_signature_can_be_another(data: st.DataObject) -> None:
    der = base64.b64encode(changed(data, SIGNED.der())).decode()
    assert faulty(BODY, SIGNED.model_copy(update={"signature": der})) is Kind.FORGED


def pem(make: Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]) -> bytes:
    return make().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "key",
    [
        pem(lambda: ec.generate_private_key(ec.SECP384R1())),
        pem(lambda: rsa.generate_private_key(65537, 2048)),
    ],
    ids=["P-384", "RSA"],
)
def test_a_key_of_another_kind_is_refused(key: bytes) -> None:
    with pytest.raises(NotRunnable) as refused:
        public_key(key, "file 'key.pem'")
    assert refused.value.message == "file 'key.pem' is not a key on the curve P-256"
    assert refused.value.hint == "evidence is signed with KMS keys of the kind ECC_NIST_P256"


@pytest.mark.parametrize(
    "key",
    [
        b"-----BEGIN NOTHING-----",
        pem(lambda: ec.generate_private_key(ec.SECP256R1())).replace(
            b"MFkwEwYHKoZIzj0CAQ", b"MFkwEwYHKoZIzj0CBQ"
        ),
    ],
    ids=["not PEM", "a key type that nobody knows"],
)
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(NotRunnable) as refused:
        public_key(key, "file 'key.pem'")
    assert refused.value.message == "file 'key.pem' is not a public key in PEM"
    assert refused.value.hint == "write one with: pgdrill evidence public-key"


def test_the_report_names_the_key_that_signed_the_record(shelf: Shelf) -> None:
    one = drills(shelf)[0]
    assert OURS.arn in shelf.held[archive.key(one, archive.REPORT)].decode()
    alone = Shelf()
    archive.save(alone, one)
    assert "none: chained alone" in alone.held[archive.key(one, archive.REPORT)].decode()
