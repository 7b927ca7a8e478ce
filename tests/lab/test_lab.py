"""The lab as a whole: it begins, serves unmodified clients on loopback alone, keeps what it is asked to, and ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import psutil
import psycopg
import pytest
from botocore.exceptions import ClientError

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab import daemon as daemon_module
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Record, Settings
from pgdrill.plan import Plan

PASSWORD = "correct-horse-battery"
DR = "ap-northeast-1"
PROGRAM = str(Path(sys.executable).parent / "pgdrill")

MakeLab = Callable[[], Lab]


def begin(lab: Lab, name: str) -> None:
    """Ask for a database instance without automated backups."""
    arguments = lab.world().production_instance() | {"BackupRetentionPeriod": 0}
    lab.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        MasterUsername="master",
        MasterUserPassword=PASSWORD,
        DBName="shop",
        **arguments,
    )


def create(lab: Lab, name: str) -> None:
    begin(lab, name)
    await_status(lab, name)


def instance(lab: Lab, name: str, region: str | None = None) -> Any:
    return lab.client("rds", region).describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def await_status(lab: Lab, name: str, status: str = "available") -> None:
    until(lambda: instance(lab, name)["DBInstanceStatus"] == status)


def await_snapshot(lab: Lab, name: str) -> None:
    rds = lab.client("rds")
    until(
        lambda: (
            rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]["Status"] == "available"
        )
    )


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.02)


def connect(lab: Lab, name: str) -> psycopg.Connection[tuple[Any, ...]]:
    endpoint = instance(lab, name)["Endpoint"]
    return psycopg.connect(
        host=endpoint["Address"],
        port=endpoint["Port"],
        user="master",
        password=PASSWORD,
        dbname="shop",
        sslmode="verify-full",
        sslrootcert=lab.environment["PGSSLROOTCERT"],
        autocommit=True,
    )


def daemon(lab: Lab) -> psutil.Process:
    record = Record.read(lab.directory)
    assert record is not None
    process = daemon_module.living(lab.directory, record)
    assert process is not None
    return process


def processes_of(lab: Lab) -> list[psutil.Process]:
    """Return what lives of the lab: the daemon, what it began, and PostgreSQL below the lab's directory."""
    found = []
    for process in psutil.process_iter():
        try:
            below = process.cwd().startswith(str(lab.directory))
            marked = process.environ().get("PGDRILL_LAB_DIRECTORY") == str(lab.directory)
            if (below or marked) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def shop(lab: Lab) -> str:
    create(lab, "shop-production")
    return "shop-production"


def test_an_unmodified_client_works_with_the_environment_file_alone(lab: Lab) -> None:
    lines = (lab.directory / "lab.env").read_text(encoding="utf-8").splitlines()
    written = dict(line.split("=", 1) for line in lines)
    assert written == lab.environment
    code = (
        "import boto3, os; "
        "print(boto3.client('sts').get_caller_identity()['Account']); "
        "print(boto3.client('s3').list_buckets()['Buckets'][0]['Name'])"
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PG"))}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=bare | written, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["000000000000", lab.world(DR).evidence_bucket]


def test_the_plan_is_valid_and_what_it_names_is_there(lab: Lab) -> None:
    plan = Plan.load(lab.plan_path)
    rds, ec2 = lab.client("rds"), lab.client("ec2")
    group = rds.describe_db_subnet_groups(DBSubnetGroupName=plan.drill.subnet_group)["DBSubnetGroups"][0]
    assert len(group["Subnets"]) == 2
    assert rds.describe_db_parameter_groups(DBParameterGroupName=plan.drill.parameter_group)[
        "DBParameterGroups"
    ]
    groups = ec2.describe_security_groups(GroupIds=list(plan.drill.security_groups))["SecurityGroups"]
    assert groups[0]["VpcId"] == lab.world().drill.vpc
    lab.client("s3").head_bucket(Bucket=plan.stack.evidence_bucket)
    assert lab.client("kms").describe_key(KeyId=plan.stack.mac_key)["KeyMetadata"]["KeySpec"] == "HMAC_256"


def test_nothing_listens_beyond_loopback(lab: Lab, shop: str) -> None:
    listening = [
        (process.name(), connection.laddr.ip)
        for process in processes_of(lab)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {name for name, _ in listening} >= {"postgres"}
    assert len(listening) >= 2
    assert {address for _, address in listening} <= {"127.0.0.1", "::1"}


def test_a_database_is_reached_over_verified_tls(lab: Lab, shop: str) -> None:
    with connect(lab, shop) as session:
        row = session.execute(
            "SELECT ssl, current_setting('data_checksums') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row == (True, "on")


def test_the_regions_are_apart(lab: Lab, shop: str) -> None:
    assert lab.client("rds", DR).describe_db_instances()["DBInstances"] == []
    assert lab.world().evidence_bucket != lab.world(DR).evidence_bucket
    message, alias = b"nonce", "alias/pgdrill-lab-mac"
    macs = {
        lab.client("kms", region).generate_mac(KeyId=alias, MacAlgorithm="HMAC_SHA_256", Message=message)[
            "Mac"
        ]
        for region in (None, None, DR)
    }
    assert len(macs) == 2, "the same key gives the same MAC, the other region's another"


def test_an_object_is_written_once(lab: Lab) -> None:
    s3, bucket = lab.client("s3"), lab.world().evidence_bucket
    s3.put_object(Bucket=bucket, Key="once", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="once", Body=b"second", IfNoneMatch="*")
    assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
    kept = s3.get_object(Bucket=bucket, Key="once")
    assert kept["Body"].read() == b"first"
    assert kept["SSEKMSKeyId"] == lab.world().storage_key


def test_what_the_labs_rds_cannot_do_is_refused_rather_than_recorded(lab: Lab) -> None:
    with pytest.raises(ClientError, match="Unknown RDS action: CreateDBCluster"):
        lab.client("rds").create_db_cluster(DBClusterIdentifier="aurora", Engine="aurora-postgresql")


@pytest.fixture
def queue(lab: Lab) -> Iterator[Callable[[], list[Any]]]:
    """Receive the RDS events of the primary region."""
    events, sqs = lab.client("events"), lab.client("sqs")
    url = sqs.create_queue(QueueName="rds-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="rds-events", EventPattern=json.dumps({"source": ["aws.rds"]}))
    events.put_targets(Rule="rds-events", Targets=[{"Id": "queue", "Arn": arn}])
    got: list[Any] = []

    def receive() -> list[Any]:
        got.extend(
            json.loads(message["Body"])
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        )
        return got

    yield receive
    events.remove_targets(Rule="rds-events", Ids=["queue"])
    events.delete_rule(Name="rds-events")


def test_an_event_of_rds_reaches_a_rule_of_its_region(
    lab: Lab, shop: str, queue: Callable[[], list[Any]]
) -> None:
    rds = lab.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=shop, DBSnapshotIdentifier="told")
    await_snapshot(lab, "told")
    until(lambda: "RDS-EVENT-0042" in [event["detail"]["EventID"] for event in queue()])
    created = next(event for event in queue() if event["detail"]["EventID"] == "RDS-EVENT-0042")
    assert created["detail-type"] == "RDS DB Snapshot Event"
    assert created["region"] == "ap-southeast-1"
    assert created["account"] == "000000000000"
    assert created["detail"]["SourceIdentifier"] == "told"


def test_a_client_may_not_speak_in_the_name_of_rds(lab: Lab) -> None:
    entry = {"Source": "aws.rds", "DetailType": "RDS DB Snapshot Event", "Detail": "{}"}
    answer = lab.client("events").put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_fault_set_through_the_door_is_met_through_the_api_and_wears_off(lab: Lab) -> None:
    rds = lab.client("rds")
    lab.door.set_faults({"failures": [{"action": "DescribeDBInstances", "times": 2}]})
    for _ in range(2):
        with pytest.raises(ClientError) as throttled:
            rds.describe_db_instances()
        assert throttled.value.response["Error"]["Code"] == "ThrottlingException"
    rds.describe_db_instances()
    assert lab.door.faults()["failures"] == []


def test_cleared_faults_are_gone(lab: Lab) -> None:
    lab.door.set_faults({"latency": {"restore": 30}})
    assert lab.door.faults()["latency"] == {"restore": 30.0}
    assert lab.door.clear_faults() == lab.door.faults()
    assert lab.door.faults()["latency"] == {}


def test_a_fault_that_does_not_exist_is_refused(lab: Lab) -> None:
    with pytest.raises(
        NotRunnable, match=r"^faults \{'earthquake': 9\} not understood: earthquake: "
    ) as refused:
        lab.door.set_faults({"earthquake": 9})
    assert "latency" in refused.value.hint


def test_sabotage_damages_the_snapshot_and_not_its_source(lab: Lab, shop: str) -> None:
    with connect(lab, shop) as session:
        session.execute("CREATE TABLE doomed AS SELECT n FROM generate_series(1, 10) AS n")
        session.execute("CHECKPOINT")
    rds = lab.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=shop, DBSnapshotIdentifier="to-damage")
    await_snapshot(lab, "to-damage")
    damage = lab.door.sabotage("to-damage", "dropped-table", database="shop", table="public.doomed")
    assert "doomed" in damage
    drill = lab.world().drill
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="restored",
        DBSnapshotIdentifier="to-damage",
        DBSubnetGroupName=drill.name,
        VpcSecurityGroupIds=[drill.security_group],
    )
    await_status(lab, "restored")
    for name, there in ((shop, True), ("restored", False)):
        with connect(lab, name) as session:
            row = session.execute("SELECT to_regclass('public.doomed') IS NOT NULL").fetchone()
        assert row == (there,), name


@pytest.mark.parametrize(
    ("snapshot", "kind", "said"),
    [
        ("nowhere", "dropped-table", "no available snapshot 'nowhere' in ap-southeast-1"),
        ("to-damage", "earthquake", "no sabotage 'earthquake'"),
        (
            "to-damage",
            "stale-snapshot",
            "sabotage 'stale-snapshot' takes data from another snapshot, and none is named",
        ),
    ],
)
def test_sabotage_of_what_is_not_there_says_so(
    lab: Lab, shop: str, snapshot: str, kind: str, said: str
) -> None:
    with pytest.raises(NotRunnable, match=f"^{said}$"):
        lab.door.sabotage(snapshot, kind)


@pytest.fixture(scope="module")
def backed_up(lab: Lab, shop: str) -> str:
    """Turn on the automated backups of the shop; its first is there."""
    rds = lab.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier=shop, BackupRetentionPeriod=1, ApplyImmediately=True)
    until(lambda: len(automated(lab, shop)) == 1)
    await_status(lab, shop)
    return shop


def test_the_daily_backup_is_taken_when_asked(lab: Lab, backed_up: str) -> None:
    lab.door.back_up(backed_up)
    until(lambda: len(automated(lab, backed_up)) == 2)
    assert {snapshot["SnapshotType"] for snapshot in automated(lab, backed_up)} == {"automated"}


def test_there_is_no_daily_backup_of_what_is_not_there(lab: Lab) -> None:
    with pytest.raises(NotRunnable, match=r"^no instance 'nowhere' in ap-southeast-1$") as refused:
        lab.door.back_up("nowhere")
    assert refused.value.hint == "list them with: pgdrill lab status"


def test_a_hole_is_torn_into_the_archive_of_an_instance(lab: Lab, backed_up: str) -> None:
    identifier = instance(lab, backed_up)["DbiResourceId"]
    archive = lab.directory / "rds" / "instances" / identifier / "archive"

    def segments() -> set[str]:
        return {file.name for file in archive.iterdir() if len(file.name) == 24}

    already = len(segments())
    with connect(lab, backed_up) as session:
        session.execute("CREATE TABLE tick (n int)")
        until(lambda: bool(session.execute("INSERT INTO tick VALUES (1)")) and len(segments()) >= already + 4)
    before = segments()
    damage = lab.door.sabotage(backed_up, "wal-hole")
    (gone,) = before - segments()
    assert damage.startswith(f"removed segment {gone} from the archive, one of ")


def automated(lab: Lab, name: str) -> list[Any]:
    found = lab.client("rds").describe_db_snapshots(DBInstanceIdentifier=name)["DBSnapshots"]
    return [snapshot for snapshot in found if snapshot["DBSnapshotIdentifier"].startswith(f"rds:{name}-")]


def test_a_second_up_changes_nothing(lab: Lab) -> None:
    before = lab.environment
    assert lab.up() is False
    assert lab.environment == before


def test_a_running_lab_is_not_discarded(lab: Lab) -> None:
    with pytest.raises(NotRunnable, match=r"^a lab runs in ") as refused:
        lab.up(fresh=True)
    assert refused.value.hint == "end it first: pgdrill lab down"


def test_a_port_in_use_is_named(lab: Lab, make_lab: MakeLab) -> None:
    port = daemon(lab).net_connections()[0].laddr.port
    with pytest.raises(
        NotRunnable, match=f"^port {port} on 127.0.0.1 cannot be used: Address already in use$"
    ):
        make_lab().up(Settings(port=port))


def pgdrill(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "lab", *arguments, "--directory", str(lab.directory)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_status_tells_what_runs(lab: Lab, shop: str) -> None:
    told = pgdrill(lab, "status", "--json")
    assert told.returncode == 0, told.stderr
    content = json.loads(told.stdout)
    assert content["endpoint"] == lab.environment["AWS_ENDPOINT_URL"]
    assert shop in [found["id"] for found in content["regions"][0]["instances"]]
    assert content["regions"][1]["instances"] == []


def test_status_of_no_lab_is_3(tmp_path: Path) -> None:
    told = pgdrill(Lab(tmp_path), "status", "--json")
    assert told.returncode == 3
    assert json.loads(told.stdout) == {"running": False, "directory": str(tmp_path)}


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
        environment_of = daemon_module._environment
        broken.setattr(
            daemon_module, "_environment", lambda *a: environment_of(*a) | {"PGDRILL_PG_BIN": "/nowhere"}
        )
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


def kill(lab: Lab) -> list[psutil.Process]:
    """Kill the daemon as an operator or the kernel might; return what lived of the lab before."""
    before = processes_of(lab)
    process = daemon(lab)
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
    process = daemon(lab)
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
    half = daemon(lab)
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
