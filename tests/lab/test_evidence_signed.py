"""Evidence is signed by KMS and verified without it: the lab's keys, the store, the command line, and openssl."""

import os
import shutil
import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from pgdrill.cell import Cell
from pgdrill.evidence import archive
from pgdrill.evidence.folder import Folder
from pgdrill.evidence.record import canonical
from pgdrill.evidence.signature import Signature
from pgdrill.evidence.verification import public_key
from pgdrill.lab.lab import Lab
from pgdrill.plan import Plan
from tests.unit.evidence.drills import drilled, torn_down

DRILL = drilled(1)


@pytest.fixture(name="cell", scope="module")
def _cell(lab: Lab) -> Cell:
    """A cell of the lab in whose store one drill has left its signed evidence."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in lab.environment.items():
            patched.setenv(name, value)
        plan = Plan.load(lab.plan_path)
        cell = Cell.open(plan)
    archive.save(cell.store, DRILL, cell.signer)
    archive.finish(cell.store, torn_down(DRILL), cell.signer)
    return cell


def pgdrill(lab: Lab | None, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line; without a lab, with nothing of AWS in its environment."""
    bare = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "300"}
    return subprocess.run(
        [str(Path(sys.executable).with_name("pgdrill")), *map(str, arguments)],
        env=bare | (lab.environment if lab else {}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(name="downloaded", scope="module")
def _downloaded(lab: Lab, cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Download the evidence, and write down the key."""
    directory = tmp_path_factory.mktemp("audit")
    for key in cell.store.keys("evidence/"):
        (directory / key).parent.mkdir(parents=True, exist_ok=True)
        (directory / key).write_bytes(cell.store.get(key) or b"")
    told = pgdrill(lab, "evidence", "public-key", "--plan", lab.plan_path)
    assert told.returncode == 0
    (directory / "public.pem").write_text(told.stdout)
    return directory


def test_each_region_has_a_signing_key_of_its_own(lab: Lab, cell: Cell) -> None:
    other = pgdrill(lab, "evidence", "public-key", "--plan", lab.plan_path, "--cell", "dr").stdout
    assert public_key(other.encode(), "the lab's") != public_key(cell.keys.public_key().encode(), "the lab's")


def test_what_kms_signed_is_the_record_as_it_lies_in_the_store(cell: Cell) -> None:
    place = archive.key(DRILL, archive.EVIDENCE)
    kept = Signature.model_validate_json(cell.store.get(archive.beside(place)) or b"")
    assert cell.store.get(place) == canonical(DRILL)
    assert kept.key == cell.keys.describe(cell.place.signing_key or "").arn
    trusted = public_key(cell.keys.public_key().encode(), "the lab's")
    trusted.verify(b64decode(kept.signature), canonical(DRILL), ec.ECDSA(SHA256()))


def test_verify_asks_kms_for_the_plan_s_keys(lab: Lab, cell: Cell) -> None:
    done = pgdrill(lab, "evidence", "verify", "--plan", lab.plan_path)
    assert done.returncode == 0
    assert done.stdout == (
        "✓ shop: whole\n"
        "1 record of ap-southeast-1 not in the bucket in ap-northeast-1: not replicated yet, or deleted there\n"
    )


def test_an_auditor_verifies_a_download_without_aws(downloaded: Path) -> None:
    key = downloaded / "public.pem"
    done = pgdrill(None, "evidence", "verify", "--directory", downloaded, "--public-key", key)
    assert (done.returncode, done.stdout, done.stderr) == (0, "✓ shop: whole\n", "")


def test_an_auditor_finds_one_byte_of_a_download_altered(downloaded: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(downloaded, tmp_path / "copy")
    place = copy / archive.key(DRILL, archive.TEARDOWN)
    place.write_bytes(place.read_bytes().replace(b"NotFound", b"NotFOUND"))
    key = downloaded / "public.pem"
    done = pgdrill(None, "evidence", "verify", "--directory", copy, "--public-key", key)
    assert done.returncode == 1
    assert done.stdout.startswith("✗ shop: 1 break\n")
    assert f"altered: drill {DRILL.drill} has a teardown that has SHA-256" in done.stdout


def test_openssl_verifies_a_record_with_what_lies_beside_it(downloaded: Path, tmp_path: Path) -> None:
    """The commands of docs/evidence.md, for whoever does not trust this program."""
    place = downloaded / archive.key(DRILL, archive.EVIDENCE)
    kept = Signature.model_validate_json(Path(archive.beside(str(place))).read_bytes())
    (tmp_path / "evidence.der").write_bytes(kept.der())
    command = ["openssl", "dgst", "-sha256", "-verify", str(downloaded / "public.pem")]
    command += ["-signature", str(tmp_path / "evidence.der")]
    done = subprocess.run([*command, str(place)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Verified OK\n")
    teardown = downloaded / archive.key(DRILL, archive.TEARDOWN)
    done = subprocess.run([*command, str(teardown)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "Verification failure\n")


def test_evidence_is_not_whole_once_kms_has_another_key(lab: Lab, cell: Cell, tmp_path: Path) -> None:
    """A plan that names the other key of this region's alias: whoever signed before is not trusted any more."""
    kms = lab.client("kms")
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    plan = tmp_path / "plan.toml"
    plan.write_text(lab.plan_path.read_text().replace('"alias/pgdrill-lab-signing"', f'"{made}"', 1))
    done = pgdrill(lab, "evidence", "verify", "--plan", plan)
    assert done.returncode == 1
    assert done.stdout.startswith("✗ shop: 2 breaks\n")
    assert done.stdout.count(f"forged: drill {DRILL.drill}") == 2


def test_what_a_lost_region_signed_is_verified_with_the_key_that_was_written_down(
    lab: Lab, downloaded: Path
) -> None:
    """The other region has a copy of the evidence; the key is in the region that is lost."""
    there = lab.world("ap-northeast-1")
    for key in Folder(downloaded).keys("evidence/"):
        lab.client("s3", there.region).put_object(
            Bucket=there.evidence_bucket, Key=key, Body=(downloaded / key).read_bytes()
        )
    lab.door.set_faults({"lost": [lab.world().region]})
    verify = ("evidence", "verify", "--plan", lab.plan_path, "--cell", "dr")
    # Each waits for a region that does not answer, so both at once.
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(pgdrill, lab, *verify)
        given = pgdrill(lab, *verify, "--public-key", downloaded / "public.pem")
        asked = asking.result()
    lab.door.clear_faults()
    assert asked.returncode == 3
    assert asked.stderr == (
        "pgdrill: key 'alias/pgdrill-lab-signing' cannot be used: 503 in ap-southeast-1\n"
        "HINT: once KMS answers, ask again; or give the key as it was written down: --public-key FILE\n"
    )
    assert given.returncode == 0
    assert given.stdout == (
        "✓ shop: whole\n"
        "not compared with the bucket in ap-southeast-1: cannot list 'evidence/' in bucket"
        f" {lab.world().evidence_bucket!r}: 503\n"
    )


def test_a_record_deleted_where_it_was_written_is_missed_by_the_other_region(lab: Lab, cell: Cell) -> None:
    """The last test of the file: the other region has a copy since the test before."""
    assert pgdrill(lab, "evidence", "verify", "--plan", lab.plan_path).stdout == "✓ shop: whole\n"
    for key in cell.store.keys("evidence/shop/"):
        lab.client("s3").delete_object(Bucket=cell.store.bucket, Key=key)
    done = pgdrill(lab, "evidence", "verify", "--plan", lab.plan_path)
    assert done.returncode == 1
    assert done.stdout.startswith("✗ shop: 2 breaks\n")
    assert f"dropped: drill {DRILL.drill} has no record in the bucket in ap-southeast-1" in done.stdout
