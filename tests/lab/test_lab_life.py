"""A lab begins once, keeps what it is asked to, and ends whole, however its end comes."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab import daemon
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Record, Settings
from tests.lab.functions import deploy, invoke
from tests.lab.labs import MakeLab, await_status, begin, connect, create, daemon_of, processes_of


def test_what_is_kept_is_there_after_the_next_up_that_works(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab()
    lab.up(Settings(archive_every=0.5))
    create(lab, "kept")
    with connect(lab, "kept") as session:
        session.execute("CREATE TABLE note AS SELECT 42 AS answer")
    lab.client("secretsmanager").create_secret(Name="shop/pgdrill", SecretString="{}")
    lab.client("s3").put_object(Bucket=lab.world().evidence_bucket, Key="note", Body=b"42")
    environment, world = lab.environment, lab.world()

    assert lab.down(keep=True) is True
    assert processes_of(lab) == []
    with monkeypatch.context() as broken:
        environment_of = daemon._environment
        broken.setattr(daemon, "_environment", lambda *a: environment_of(*a) | {"PGDRILL_PG_BIN": "/nowhere"})
        with pytest.raises(Broken, match=r"^the lab's process ended with status 1: .*/nowhere"):
            lab.up()
    assert processes_of(lab) == [], "an `up` that fails neither leaves a process nor discards what was kept"
    assert lab.up() is True

    assert (lab.environment, lab.world()) == (environment, world)
    await_status(lab, "kept")
    with connect(lab, "kept") as session:
        assert session.execute("SELECT answer FROM note").fetchone() == (42,)
    assert lab.client("secretsmanager").get_secret_value(SecretId="shop/pgdrill")["SecretString"] == "{}"
    assert lab.client("s3").get_object(Bucket=world.evidence_bucket, Key="note")["Body"].read() == b"42"
    assert lab.client("kms").describe_key(KeyId=world.mac_key)["KeyMetadata"]["Enabled"]
    record = Record.read(lab.directory)
    assert record is not None
    assert record.settings.archive_every == 0.5

    assert lab.down() is True
    assert not lab.directory.exists()


def test_what_functions_are_unpacked_into_goes_with_the_lab(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up()
    deploy(lab, "where", "import os\ndef handler(event, context):\n    return os.getcwd(), __file__")
    workers = {Path(path) for path in invoke(lab, "where")}
    assert all(path.is_relative_to(lab.directory) for path in workers), workers
    assert list((lab.directory / daemon.TEMPORARY).glob("ministack-lambda-*"))
    lab.down()
    assert not lab.directory.exists()


def test_every_version_of_an_object_is_kept_and_written_down_once(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up()
    bucket = lab.world().evidence_bucket
    for body in (b"1", b"2", b"3"):
        lab.client("s3").put_object(Bucket=bucket, Key="note", Body=body, Tagging=f"number={body.decode()}")
    lab.client("s3").put_object(Bucket=bucket, Key="gone", Body=b"4")
    lab.client("s3").delete_object(Bucket=bucket, Key="gone")
    [sidecar] = lab.directory.glob(f"aws/s3/*/{bucket}/note*.meta.json")
    assert "versions" not in json.loads(sidecar.read_bytes())
    before = versions(lab, bucket)
    assert {key: len(bodies) for key, bodies in before.items()} == {"note": 3, "gone": 2}

    lab.down(keep=True)
    assert len(json.loads(sidecar.read_bytes())["versions"]) == 3
    lab.up()

    assert versions(lab, bucket) == before
    tags = lab.client("s3").get_object_tagging(Bucket=bucket, Key="note")["TagSet"]
    assert tags == [{"Key": "number", "Value": "3"}]


def versions(lab: Lab, bucket: str) -> dict[str, list[bytes | None]]:
    """Return the bodies of all versions by key, newest first; None is a mark of deletion."""
    client = lab.client("s3")
    listed = client.list_object_versions(Bucket=bucket)
    every = [*listed["Versions"], *listed["DeleteMarkers"]]
    found: dict[str, list[bytes | None]] = {}
    for one in sorted(every, key=lambda one: (one["Key"], one["LastModified"], one["VersionId"])):
        body = None
        if "Size" in one:
            body = client.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
        found.setdefault(one["Key"], []).append(body)
    return found


def kill(lab: Lab) -> list[psutil.Process]:
    """Kill the daemon as an operator or the kernel might; return what lived of the lab before."""
    before = processes_of(lab)
    process = daemon_of(lab)
    process.kill()
    process.wait(10)
    return before


def test_a_killed_lab_leaves_nothing_that_the_next_command_does_not_clean_up(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up()
    create(lab, "orphan")
    before = kill(lab)
    assert processes_of(lab), "PostgreSQL outlives the daemon, else this proves nothing"
    assert lab.running() is None

    lab.up()

    assert [process for process in processes_of(lab) if process in before] == []
    assert lab.client("rds").describe_db_instances()["DBInstances"] == []
    assert list((lab.directory / "rds").glob("instances/*")) == []

    begin(lab, "half-made")
    kill(lab)
    lab.down()

    assert processes_of(lab) == []
    assert not lab.directory.exists()


def test_ctrl_c_ends_the_daemon_and_its_databases_and_keeps_their_state(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up()
    create(lab, "ended")
    process = daemon_of(lab)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert processes_of(lab) == []
    record = Record.read(lab.directory)
    assert record is not None
    assert record.kept

    lab.up(fresh=True)

    assert lab.client("rds").describe_db_instances()["DBInstances"] == [], "fresh discards what was kept"


def test_a_lab_whose_world_was_not_finished_is_begun_anew_and_once(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up()
    half = daemon_of(lab)
    record = Record.read(lab.directory)
    assert record is not None
    record.model_copy(update={"ready": False}).write(lab.directory)
    assert lab.running() is None
    with ThreadPoolExecutor(max_workers=2) as pool:
        began = pool.map(lambda _: Lab(lab.directory).up(), range(2))
    assert sorted(began) == [False, True]
    assert not half.is_running()
    assert len([process for process in processes_of(lab) if "pgdrill.lab.emulator" in process.cmdline()]) == 1


def test_with_auth_on_a_stranger_does_not_reach_rds(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up(Settings(auth=True))
    assert lab.client("rds").describe_db_instances()["DBInstances"] == []
    iam = lab.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    pair = key["AccessKeyId"], key["SecretAccessKey"]
    for credentials, code in ((("AKIAUNKNOWN", "secret"), "InvalidClientTokenId"), (pair, "AccessDenied")):
        stranger = boto3.session.Session(*credentials).client(
            "rds", region_name="ap-southeast-1", endpoint_url=lab.environment["AWS_ENDPOINT_URL"]
        )
        with pytest.raises(ClientError) as refused:
            stranger.describe_db_instances()
        assert refused.value.response["Error"]["Code"] == code


def test_postgresql_that_is_not_there_is_told_before_anything_begins(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab()
    monkeypatch.setenv("PGDRILL_PG_BIN", "/nowhere")
    with pytest.raises(NotRunnable, match="/nowhere"):
        lab.up()
    assert processes_of(lab) == []
