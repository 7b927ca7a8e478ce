"""The authorities of RDS that are shipped: theirs, whole, of both regions, and valid for years."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from pgdrill.build import zips

BUNDLE = zips.BUNDLE.read_bytes()
AUTHORITIES = x509.load_pem_x509_certificates(BUNDLE)
YEARS = timedelta(days=2 * 365)


def name(authority: x509.Certificate) -> str:
    return str(authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_each_is_an_authority_of_rds_for_production() -> None:
    for authority in AUTHORITIES:
        (unit,) = authority.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        assert unit.value == "Amazon RDS"
        assert name(authority).startswith("Amazon RDS ")
        assert "Beta" not in name(authority)
        assert "Preview" not in name(authority)


def test_each_may_sign_certificates_and_was_signed_by_itself() -> None:
    for authority in AUTHORITIES:
        assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert authority.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        # Raises where a byte of it is another: nothing of a certificate is outside its signature.
        authority.verify_directly_issued_by(authority)


def test_none_comes_twice() -> None:
    fingerprints = {authority.fingerprint(SHA256()) for authority in AUTHORITIES}
    assert len(fingerprints) == len(AUTHORITIES) == BUNDLE.count(b"-----BEGIN CERTIFICATE-----")


def test_each_is_valid_for_two_years_and_more() -> None:
    """The first ends in 2061, so that this fails in time for the next ones and not by surprise."""
    soon = [name(each) for each in AUTHORITIES if each.not_valid_after_utc < datetime.now(UTC) + YEARS]
    assert soon == []


@pytest.mark.parametrize("region", ["ap-southeast-1", "ap-northeast-1"])
def test_both_regions_are_there_with_every_kind_of_key(region: str) -> None:
    assert {name(each) for each in AUTHORITIES} >= {
        f"Amazon RDS {region} Root CA {kind} G1" for kind in ("RSA2048", "RSA4096", "ECC384")
    }


def test_each_is_named_with_its_digest() -> None:
    """A person can compare a line with what AWS serves, without a tool."""
    told = [line for line in BUNDLE.decode().splitlines() if line.startswith("# Amazon RDS ")]
    assert told == [f"# {name(each)}, SHA-256 {each.fingerprint(SHA256()).hex()}" for each in AUTHORITIES]


def test_whether_a_region_has_authorities_is_told() -> None:
    assert zips.covers("ap-southeast-1")
    assert not zips.covers("il-central-1")
    assert not zips.covers("ap-southeast")
