"""The lab's certificate authority. That clients trust it is shown with real servers, in tests/lab."""

import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from pgdrill.lab.tls import Authority


def test_an_authority_is_made_once(tmp_path: Path) -> None:
    first = Authority(tmp_path / "tls")
    before = {file.name: file.read_bytes() for file in (tmp_path / "tls").iterdir()}
    again = Authority(tmp_path / "tls")
    assert (again.root_cert, again.server) == (first.root_cert, first.server)
    assert {file.name: file.read_bytes() for file in (tmp_path / "tls").iterdir()} == before


def test_the_servers_key_is_for_its_owner_alone_and_the_authoritys_is_not_kept(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert stat.S_IMODE(authority.server.key.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir() if b"PRIVATE" in file.read_bytes()] == ["server.key"]


def test_the_certificate_is_for_loopback_alone_and_issued_by_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    root = x509.load_pem_x509_certificate(authority.root_cert.read_bytes())
    server = x509.load_pem_x509_certificate(authority.server.certificate.read_bytes())
    server.verify_directly_issued_by(root)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.IPv4Address("127.0.0.1")]
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    now = datetime.now(UTC)
    assert server.not_valid_before_utc < now < server.not_valid_after_utc - timedelta(days=365)
