"""The doctor against a lab: well where all is in place, and each thing that is not is named with what to do."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from typer.testing import CliRunner, Result

from pgdrill.aws.surroundings import Surroundings
from pgdrill.cell import Cell
from pgdrill.cli import app
from pgdrill.doctor import databases, examine, regions
from pgdrill.doctor.patient import Answer, Patient, Status
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from pgdrill.model import Clock
from pgdrill.plan import Plan
from tests.lab.production import FEW, Production, clock, environment

QUESTIONS = regions.QUESTIONS | databases.QUESTIONS | databases.OF_PRODUCTION
EVIDENCE = "pgdrill-lab-evidence-ap-southeast-1"
GROUP = "pgdrill-lab-drill"

Arrange = Callable[[Production], Any]


@pytest.fixture(scope="module")
def production(make_lab: Callable[[], Lab]) -> Iterator[Production]:
    lab = make_lab()
    lab.up(Settings(manual_snapshots=300))
    with environment(lab):
        made = Production(lab, checks=FEW)
        for region in (made.plan.primary.region, made.plan.dr.region):
            entry = json.dumps({"username": "master", "password": "the-next-one"})
            lab.client("secretsmanager", region).create_secret(Name="shop/master", SecretString=entry)
        yield made


def ask(production: Production, question: str, plan: Plan | None = None, at: Clock | None = None) -> Answer:
    cell = Cell.open(plan) if plan else production.cell
    around = Surroundings(lambda service: production.lab.client(service, cell.place.region))
    named = cell.plan.database(None)
    return examine.answer(question, QUESTIONS[question], Patient(cell, around, at or clock(), named))


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments], terminal_width=200)


def changed(plan: Plan, section: str, **values: Any) -> Plan:
    """Return the plan with some values of one place, or of the database, replaced."""
    content = plan.model_dump(by_alias=True)
    part = content["database"][0] if section == "database" else content
    for name in [] if section == "database" else section.split("."):
        part = part[name]
    part.update(values)
    return Plan.model_validate(content)


def test_a_whole_lab_is_well_but_for_what_was_not_copied_yet(production: Production) -> None:
    production.beat()
    result = command("--json")
    answers = [Answer.model_validate(answer) for answer in json.loads(result.stdout)]
    assert [(a.region, a.question, a.status) for a in answers if a.status is not Status.OK] == [
        ("ap-northeast-1", "version", Status.UNKNOWN)
    ]
    assert result.exit_code == 3
    assert {a.question for a in answers} == set(QUESTIONS)
    asked = [(a.region, a.database, a.question) for a in answers]
    assert len(asked) == len(set(asked))


def test_the_answers_are_shown_with_what_to_do(production: Production) -> None:
    result = command()
    said = " ".join(result.stdout.split())
    assert "ok ap-southeast-1 caller arn:aws:iam::000000000000:root" in said
    assert "unknown shop version neither 'shop-production' nor a copy of it is in ap-northeast-1" in said
    assert "ask again when the first point has been copied" in said


WRONG_PLANS: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "mac key",
        "primary",
        {"mac_key": "alias/pgdrill-lab-storage"},
        "key 'alias/pgdrill-lab-storage' is SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT",
    ),
    ("mac key", "primary", {"mac_key": "alias/none"}, "key 'alias/none' cannot be used: NotFoundException"),
    (
        "signing key",
        "primary",
        {"signing_key": "alias/pgdrill-lab-mac"},
        "key 'alias/pgdrill-lab-mac' is HMAC_256 for GENERATE_VERIFY_MAC",
    ),
    (
        "storage key",
        "primary",
        {"storage_key": "alias/pgdrill-lab-mac"},
        "key 'alias/pgdrill-lab-mac' is HMAC_256, managed by its owner",
    ),
    (
        "messages key",
        "primary",
        {"messages_key": "alias/pgdrill-lab-mac"},
        "key 'alias/pgdrill-lab-mac' is HMAC_256, managed by its owner",
    ),
    (
        "evidence bucket",
        "primary",
        {"evidence_bucket": "nobodys-bucket"},
        "cannot read 'its settings' in bucket 'nobodys-bucket': NoSuchBucket",
    ),
    (
        "archive bucket",
        "primary",
        {"archive_bucket": None},
        "the plan names no archive bucket in ap-southeast-1",
    ),
    ("drill place", "primary.place", {"subnet_group": "none"}, "subnet group 'none' is not there"),
    (
        "drill place",
        "primary.place",
        {"parameter_group": "none"},
        "parameter group 'none' is not there",
    ),
    (
        "recovery place",
        "primary",
        {"recovery": None},
        "the plan does not say where a recovered instance is put in ap-southeast-1",
    ),
    (
        "snapshot quota",
        "points",
        {"every": "1h", "offset": "0h"},
        "1 of 300 manual snapshots; the plan comes to 720",
    ),
    ("production", "database", {"instance": "none"}, "there is no instance 'none' in ap-southeast-1"),
    (
        "PITR window",
        "points",
        {"pitr": "14d"},
        "'shop-production' keeps automated backups for 7 days, the plan wants 14",
    ),
    ("secret", "database", {"secret": "none"}, "secret 'none' cannot be read: ResourceNotFoundException"),
    (
        "master secret",
        "database",
        {"master_secret": None},
        "the plan names no secret for the master user of 'shop', so nothing can be recovered",
    ),
]


@pytest.mark.parametrize(
    ("question", "section", "values", "said"),
    WRONG_PLANS,
    ids=[f"{wrong[0]} {min(wrong[2])}" for wrong in WRONG_PLANS],
)
def test_what_the_plan_names_wrongly_is_a_problem(
    production: Production, question: str, section: str, values: dict[str, Any], said: str
) -> None:
    answer = ask(production, question, changed(production.plan, section, **values))
    assert (answer.status, answer.value) == (Status.PROBLEM, said)
    assert answer.hint


@contextmanager
def _disabled_key(production: Production) -> Iterator[None]:
    kms = production.lab.client("kms")
    key = production.lab.world().storage_key
    kms.disable_key(KeyId=key)
    yield
    kms.enable_key(KeyId=key)


@contextmanager
def _suspended_versions(production: Production) -> Iterator[None]:
    s3 = production.lab.client("s3")
    for status in ("Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=EVIDENCE, VersioningConfiguration={"Status": status})
        if status == "Suspended":
            yield


@contextmanager
def _open_bucket(production: Production) -> Iterator[None]:
    s3 = production.lab.client("s3")
    before = s3.get_public_access_block(Bucket=EVIDENCE)["PublicAccessBlockConfiguration"]
    s3.delete_public_access_block(Bucket=EVIDENCE)
    yield
    s3.put_public_access_block(Bucket=EVIDENCE, PublicAccessBlockConfiguration=before)


@contextmanager
def _other_network(production: Production) -> Iterator[None]:
    rds, world = production.lab.client("rds"), production.lab.world()
    rds.modify_db_subnet_group(DBSubnetGroupName=GROUP, SubnetIds=list(world.production.subnets))
    yield
    rds.modify_db_subnet_group(DBSubnetGroupName=GROUP, SubnetIds=list(world.drill.subnets))


@contextmanager
def _jobs(production: Production) -> Iterator[None]:
    rds = production.lab.client("rds")
    for libraries in ("pg_stat_statements,pg_cron", "pg_stat_statements"):
        parameter = {
            "ParameterName": "shared_preload_libraries",
            "ParameterValue": libraries,
            "ApplyMethod": "pending-reboot",
        }
        rds.modify_db_parameter_group(DBParameterGroupName=GROUP, Parameters=[parameter])
        if "pg_cron" in libraries:
            yield


@contextmanager
def _wrong_password(production: Production) -> Iterator[None]:
    secrets = production.lab.client("secretsmanager")
    name = production.database.secret
    before = secrets.get_secret_value(SecretId=name)["SecretString"]
    role = json.dumps(json.loads(before) | {"password": "not-this-one"})
    secrets.put_secret_value(SecretId=name, SecretString=role)
    yield
    secrets.put_secret_value(SecretId=name, SecretString=before)


@contextmanager
def _other_form(production: Production) -> Iterator[None]:
    secrets = production.lab.client("secretsmanager")
    secrets.put_secret_value(SecretId="shop/master", SecretString="hunter2")
    yield
    entry = json.dumps({"username": "master", "password": "the-next-one"})
    secrets.put_secret_value(SecretId="shop/master", SecretString=entry)


@contextmanager
def _untrusted(production: Production) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PGSSLROOTCERT", "/etc/ssl/certs/ca-certificates.crt")
        yield


WRONG_WORLDS: list[tuple[str, Arrange, str]] = [
    ("storage key", _disabled_key, "key 'alias/pgdrill-lab-storage' is Disabled"),
    ("evidence bucket", _suspended_versions, f"bucket '{EVIDENCE}' is not versioned"),
    ("evidence bucket", _open_bucket, f"bucket '{EVIDENCE}' is not closed to the public"),
    ("drill place", _other_network, "security groups sg-"),
    (
        "drill place",
        _jobs,
        f"parameter group '{GROUP}' loads pg_cron: jobs of a restored copy would run",
    ),
    ("login", _wrong_password, "cannot connect to database 'postgres' at 127.0.0.1:"),
    ("login", _untrusted, "cannot connect to database 'postgres' at 127.0.0.1:"),
    (
        "master secret",
        _other_form,
        "secret 'shop/master' does not hold the keys username and password",
    ),
]


@pytest.mark.parametrize(
    ("question", "arrange", "said"), WRONG_WORLDS, ids=[wrong[1].__name__ for wrong in WRONG_WORLDS]
)
def test_what_is_not_as_it_must_be_is_a_problem(
    production: Production, question: str, arrange: Arrange, said: str
) -> None:
    with arrange(production):
        answer = ask(production, question)
    assert answer.status is Status.PROBLEM
    assert answer.value.startswith(said)
    assert answer.hint
    assert "hunter2" not in answer.model_dump_json()


@pytest.mark.parametrize("place", ["primary.place", "primary.recovery"])
def test_a_parameter_group_of_another_major_version_is_a_problem(production: Production, place: str) -> None:
    rds, group = production.lab.client("rds"), "of-postgres14"
    (instance,) = rds.describe_db_instances(DBInstanceIdentifier=production.database.instance)["DBInstances"]
    assert ask(production, "version").value == f"PostgreSQL {instance['EngineVersion']} is offered"
    rds.create_db_parameter_group(
        DBParameterGroupName=group, DBParameterGroupFamily="postgres14", Description="of the version before"
    )
    answer = ask(production, "version", changed(production.plan, place, parameter_group=group))
    rds.delete_db_parameter_group(DBParameterGroupName=group)
    assert (answer.status, answer.value) == (
        Status.PROBLEM,
        f"PostgreSQL {instance['EngineVersion']} does not start with parameter group '{group}' of postgres14",
    )


@pytest.mark.parametrize(
    ("question", "ahead", "said"),
    [
        ("clock", timedelta(minutes=2), r"this machine's clock is .* ahead of AWS"),
        ("clock", timedelta(minutes=-2), r"this machine's clock is .* behind AWS"),
        ("ledger", timedelta(minutes=9), "the ledger of 'shop' last beat 9 min"),
        ("ledger", timedelta(days=3), "nobody has beaten the ledger of 'shop' for a day"),
        ("PITR window", timedelta(hours=2), "the PITR window of 'shop-production' ends 2 h"),
    ],
)
def test_what_has_gone_stale_is_a_problem(
    production: Production, question: str, ahead: timedelta, said: str
) -> None:
    late = ask(production, question, at=clock(ahead=ahead))
    assert late.status is Status.PROBLEM
    assert re.match(said, late.value)


def test_a_region_that_does_not_answer_is_unknown_and_never_well(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    production.lab.door.set_faults({"lost": [production.plan.primary.region]})
    answers = [ask(production, question) for question in ("caller", "clock", "drill place")]
    production.lab.door.clear_faults()
    assert {answer.status for answer in answers} == {Status.UNKNOWN}


def test_a_lost_region_is_told_in_seconds_and_is_no_problem_of_the_plan(production: Production) -> None:
    production.lab.door.set_faults({"lost": [production.plan.dr.region]})
    began = time.monotonic()
    result = command("--json")
    took = time.monotonic() - began
    production.lab.door.clear_faults()
    answers = [Answer.model_validate(answer) for answer in json.loads(result.stdout)]
    lost = [answer for answer in answers if answer.region == production.plan.dr.region]
    assert {answer.status for answer in lost} == {Status.UNKNOWN}
    assert lost[0].value == "sts:GetCallerIdentity failed: 503"
    assert {answer.value for answer in lost[1:]} == {
        "not asked, since a service in ap-northeast-1 does not answer"
    }
    assert took < 30
    assert result.exit_code == 3


@pytest.mark.parametrize(
    "question", ["mac key", "signing key", "storage key", "evidence bucket", "master secret", "secret"]
)
def test_what_no_service_answers_is_unknown_whichever_it_is(
    production: Production, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    monkeypatch.setattr("pgdrill.cell.CONFIG", Config(retries={"total_max_attempts": 1}))
    production.lab.door.set_faults({"lost": [production.plan.primary.region]})
    answer = ask(production, question, production.plan)
    production.lab.door.clear_faults()
    assert (answer.status, answer.down) == (Status.UNKNOWN, True)


@pytest.mark.parametrize(
    ("denied", "status", "said"),
    [
        ((), Status.OK, "10 actions allowed to "),
        (("rds:DeleteDBInstance", "s3:PutObject"), Status.PROBLEM, ""),
    ],
    ids=["all", "two denied"],
)
def test_permissions_are_those_of_who_asks(
    production: Production,
    monkeypatch: pytest.MonkeyPatch,
    denied: tuple[str, ...],
    status: Status,
    said: str,
) -> None:
    iam, name = production.lab.client("iam"), f"ann-{len(denied)}"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    statements = [{"Effect": "Allow", "Action": ["rds:*", "s3:*"], "Resource": "*"}]
    statements += [{"Effect": "Deny", "Action": list(denied), "Resource": "*"}] if denied else []
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="operator", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    cell = Cell.open(production.plan)
    found = examine.answer(
        "permissions", QUESTIONS["permissions"], Patient(cell, Surroundings(cell.client), clock())
    )
    assert found.status is status
    assert found.value.startswith(said or f"{arn} may not: {', '.join(denied)}")


def test_asking_reads_alone_and_all_is_well_again(production: Production) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    production.beat()
    cell = Cell.open(production.plan)

    def heard(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls.append((model.name, params))

    emitters = [
        cell.session.events,
        *(part._client.meta.events for part in (cell.rds, cell.store, cell.keys)),
    ]
    for emitter in emitters:
        emitter.register("provide-client-params.*.*", heard)
    answers = list(examine.examine([cell], cell.plan.databases, clock()))
    assert [answer for answer in answers if answer.status is not Status.OK] == []
    changing = [call for call in calls if not call[0].startswith(("Describe", "List", "Get", "Simulate"))]
    assert [name for name, _ in changing] == ["GenerateMac"]
    assert changing[0][1]["DryRun"] is True
    assert len(calls) > 20
