"""The lab serves unmodified clients on loopback alone, and does through its own door what AWS cannot be asked for."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from pgdrill.cli import lab as cli
from pgdrill.errors import NotRunnable
from pgdrill.lab import sabotage
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from pgdrill.plan import Plan
from tests.lab.labs import (
    MakeLab,
    await_snapshot,
    await_status,
    connect,
    create,
    daemon_of,
    instance,
    processes_of,
    until,
)

DR = "ap-northeast-1"
PROGRAM = str(Path(sys.executable).parent / "pgdrill")


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
        "print(*sorted(b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']))"
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PG"))}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=bare | written, capture_output=True, text=True, check=True
    )
    account, *buckets = ran.stdout.split()
    assert account == "000000000000"
    assert {lab.world().evidence_bucket, lab.world(DR).evidence_bucket} <= set(buckets)


def test_the_plan_is_valid_and_what_it_names_is_there(lab: Lab) -> None:
    plan = Plan.load(lab.plan_path)
    rds, ec2 = lab.client("rds"), lab.client("ec2")
    group = rds.describe_db_subnet_groups(DBSubnetGroupName=plan.primary.place.subnet_group)[
        "DBSubnetGroups"
    ][0]
    assert len(group["Subnets"]) == 2
    assert rds.describe_db_parameter_groups(DBParameterGroupName=plan.primary.place.parameter_group)[
        "DBParameterGroups"
    ]
    groups = ec2.describe_security_groups(GroupIds=list(plan.primary.place.security_groups))["SecurityGroups"]
    assert groups[0]["VpcId"] == lab.world().drill.vpc
    lab.client("s3").head_bucket(Bucket=plan.primary.evidence_bucket)
    assert lab.client("kms").describe_key(KeyId=plan.primary.mac_key)["KeyMetadata"]["KeySpec"] == "HMAC_256"


def listening(process: psutil.Process) -> set[tuple[str, str]]:
    try:
        return {
            (process.name(), connection.laddr.ip)
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
    except psutil.NoSuchProcess:
        return set()  # a worker that has ended since listens nowhere


def test_nothing_listens_beyond_loopback(lab: Lab, shop: str) -> None:
    found = set[tuple[str, str]]().union(*map(listening, processes_of(lab)))
    assert {name for name, _ in found} >= {"postgres", daemon_of(lab).name()}
    assert {address for _, address in found} <= {"127.0.0.1", "::1"}


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
    port = daemon_of(lab).net_connections()[0].laddr.port
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


def command(lab: Lab, *arguments: str, given: str | None = None) -> Any:
    """Run a command in this process and return its result; only an exit is let pass as such."""
    result = CliRunner().invoke(cli.app, [*arguments, "--directory", str(lab.directory)], input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_faults_are_set_shown_and_cleared_by_commands(lab: Lab) -> None:
    command(lab, "fault", "set", '{"latency": {"restore": 2}}')
    command(lab, "fault", "set", "-", given='{"events": {"late": 1}}')
    shown = json.loads(command(lab, "fault", "list").stdout)
    assert (shown["latency"], shown["events"]["late"]) == ({"restore": 2.0}, 1.0)
    assert 'faults: {"latency": {"restore": 2.0}' in command(lab, "status").stdout
    command(lab, "fault", "clear")
    assert "no faults set" in command(lab, "status").stdout


def test_faults_that_are_not_json_are_refused_with_an_example(lab: Lab) -> None:
    with pytest.raises(NotRunnable, match=r"^faults are not JSON: Expecting value") as refused:
        command(lab, "fault", "set", "slow")
    assert refused.value.hint == 'write, for one: {"latency": {"restore": 20}}'


def test_every_kind_of_sabotage_is_listed(lab: Lab) -> None:
    listed = command(lab, "sabotage", "--list").stdout
    assert [kind.name for kind in sabotage.ALL if kind.name not in listed] == []


def test_a_snapshot_is_damaged_by_a_command(lab: Lab, shop: str) -> None:
    with connect(lab, shop) as session:
        session.execute("CREATE TABLE IF NOT EXISTS spare AS SELECT 1 AS n")
    lab.client("rds").create_db_snapshot(DBInstanceIdentifier=shop, DBSnapshotIdentifier="by-command")
    await_snapshot(lab, "by-command")
    said = command(
        lab, "sabotage", "by-command", "dropped-table", "--database", "shop", "--table", "public.spare"
    )
    assert "spare" in said.stdout


def test_up_and_down_by_command(make_lab: MakeLab) -> None:
    lab = make_lab()
    began = json.loads(command(lab, "up", "--amcheck", "refused", "--json").stdout)
    assert began == {"began": True, "environment": lab.environment}
    again = command(lab, "up")
    assert again.stdout.splitlines() == [f"{name}={value}" for name, value in lab.environment.items()]
    record = lab.running()
    assert record is not None
    assert record.settings.amcheck == "refused"
    command(lab, "down")
    assert lab.running() is None
