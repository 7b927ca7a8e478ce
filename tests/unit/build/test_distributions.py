"""The packages of a zip come in the versions of the lock, from here or as wheels of another platform."""

from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from pgdrill.build import distributions
from pgdrill.errors import NotRunnable, Unavailable

LOCK = """\
annotated-types==0.8.0 \\
    --hash=sha256:13ca28f6db8ac4bb0d1c5a2a0b0f4e0f \\
    --hash=sha256:aabb
six==0.0.1 ; python_full_version < '4' \\
    --hash=sha256:0011
"""


@pytest.fixture(name="lock")
def _lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK)
    return path


def files(platform: str, *names: str, lock: Path) -> dict[str, bytes]:
    return dict(distributions.files(platform, names, lock, lock.parent / "cache"))


def test_what_is_installed_here_is_taken_file_by_file(lock: Path) -> None:
    found = files("host", "annotated-types", lock=lock)
    assert b"class Gt" in found["annotated_types/__init__.py"]
    assert "annotated_types-0.8.0.dist-info/METADATA" in found


def test_another_version_than_the_locked_one_is_refused(lock: Path) -> None:
    with pytest.raises(NotRunnable) as refused:
        files("host", "six", lock=lock)
    assert refused.value.message == "six 1.17.0 is installed here, the lock says 0.0.1"
    assert refused.value.hint == "install what is locked with: make setup"


def test_a_package_that_is_not_locked_is_named(lock: Path) -> None:
    with pytest.raises(NotRunnable) as refused:
        files("host", "annotated-types", "boto3", "botocore", lock=lock)
    assert refused.value.message == "requirements.lock does not hold boto3, botocore"
    assert refused.value.hint == "write it anew with: make lock"


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("no-such-package==1 \\\n    --hash=sha256:00\n")
    with pytest.raises(NotRunnable) as refused:
        files("host", "no-such-package", lock=lock)
    assert refused.value.message == "no-such-package is not installed here"


def test_without_a_lock_nothing_is_built(tmp_path: Path) -> None:
    with pytest.raises(NotRunnable) as refused:
        files("host", "six", lock=tmp_path / "requirements.lock")
    assert refused.value.message.startswith("the lock cannot be read: [Errno 2] No such file or directory")
    assert refused.value.hint == "build from a checkout, where requirements.lock is"


def test_wheels_that_cannot_be_fetched_say_what_is_needed(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(lock.parent)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable) as refused:
        files("linux_aarch64", "six", lock=lock)
    assert refused.value.message == (
        "pip could not fetch the wheels of linux_aarch64: ERROR: No matching distribution found for six==0.0.1"
    )
    assert refused.value.hint == (
        "it needs the package index once for each lock; --platform host makes a zip without"
    )
    assert list((lock.parent / "cache" / "wheels").iterdir()) == []


def test_a_wheel_is_fetched_once_and_unpacked_as_it_would_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "tiny-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        for name, content in {
            "tiny/__init__.py": "",
            "tiny-1.0.data/purelib/more.py": "1",
            "tiny-1.0.data/scripts/tiny": "#!python",
            "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
            "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "tiny-1.0.dist-info/RECORD": "",
        }.items():
            archive.writestr(name, content)
    digest = sha256(wheel.read_bytes()).hexdigest()
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"tiny==1.0 \\\n    --hash=sha256:{digest}\n")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}.items():
        monkeypatch.setenv(name, value)
    first = files("linux_aarch64", "tiny", lock=lock)
    wheel.unlink()
    again = files("linux_aarch64", "tiny", lock=lock)
    assert again == first
    assert (first["more.py"], first["tiny/__init__.py"]) == (b"1", b"")
    assert not any("scripts" in name for name in first)


def test_a_wheel_with_another_digest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index"
    index.mkdir()
    with ZipFile(index / "tiny-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"tiny==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable, match="pip could not fetch the wheels of linux_aarch64"):
        files("linux_aarch64", "tiny", lock=lock)
