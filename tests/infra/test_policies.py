"""What every role may, must not, and cannot be given: decided by the evaluation that the lab enforces with."""

from collections.abc import Mapping
from typing import Any

import pytest

import policies_of_functions as functions
import policies_of_services as services
from policies import NEVER, Document, allow, document, rendered
from policies_of_points import ENCRYPTS_ANEW
from tests.infra import permissions, roles
from tests.infra.deeds import AS_A_DRILL, LEASED, RESTORES, forbidden, marked
from tests.infra.evaluation import ALLOW, DENY, Call
from tests.infra.linting import EXPLAINED, findings
from tests.infra.program import ACCOUNT
from tests.infra.roles import AWAY, HOME
from unused_grants import ONLY_IN_AWS, ONLY_IN_NEED, WHERE_LOCKED, why

IDS = sorted(roles.ALL)
PRODUCTION = f"arn:aws:rds:{HOME}:{ACCOUNT}:db:shop-production"
TEMPORARY = f"arn:aws:rds:{HOME}:{ACCOUNT}:db:pgdrill-test-drill-shop"
POINT = f"arn:aws:rds:{HOME}:{ACCOUNT}:snapshot:pgdrill-test-shop-2026-11-22t06z"


def document_of(role: str) -> Document:
    return roles.ALL[role][1]


def who_may(call: Call, region: str = HOME) -> set[str]:
    """Return the roles of a cell that a call is allowed to."""
    return {name for name, policy in roles.of(roles.scope(region)).items() if call.decided(policy) == ALLOW}


# Denials: whatever a role is allowed, now or later ---------------------------------------------------------

FORBIDDEN = forbidden(HOME, ACCOUNT, "test", "shop-production")
MARKED = marked("test")


@pytest.mark.parametrize("deed", FORBIDDEN)
@pytest.mark.parametrize("role", IDS)
def test_no_role_may_do_it_even_when_it_is_allowed_everything(role: str, deed: str) -> None:
    cell, policy = roles.ALL[role]
    tried = FORBIDDEN[deed]
    generous = document(allow("Everything", "*", "*"), *policy["Statement"])
    there = tried.resource.replace(HOME, cell.region)
    assert Call(tried.action, there, tried.keys, cell.region).decided(generous) == DENY


def test_the_deeds_cover_every_action_that_is_never_done_to_an_instance_or_a_point() -> None:
    tried = {deed.action for deed in FORBIDDEN.values()}
    # The rest makes instances, which nothing of production's is given to, or starts one that is stopped.
    assert set(NEVER) - tried == {
        "rds:CreateDBInstance",
        "rds:CreateDBInstanceReadReplica",
        "rds:ModifyDBSnapshot",
        "rds:RestoreDBInstanceFromS3",
        "rds:StartDBInstance",
        "rds:StopDBInstanceAutomatedBackupsReplication",
        "rds:SwitchoverReadReplica",
    }


def test_a_moment_is_restored_from_production_and_never_onto_it() -> None:
    """RDS evaluates the call on both; what tells them apart is that a restore tags its target."""
    policy = document_of(f"restore-{HOME}")
    onto = [
        Call(RESTORES[1], PRODUCTION, AS_A_DRILL, HOME),
        Call("rds:AddTagsToResource", PRODUCTION, AS_A_DRILL, HOME),
    ]
    into = [
        Call(RESTORES[1], PRODUCTION, AS_A_DRILL, HOME),
        Call(RESTORES[1], TEMPORARY, AS_A_DRILL, HOME),
        Call("rds:AddTagsToResource", TEMPORARY, AS_A_DRILL, HOME),
    ]
    assert [call.decided(policy) for call in onto] == [ALLOW, DENY]
    assert {call.decided(policy) for call in into} == {ALLOW}


def test_one_role_is_handed_to_rds_by_one_function_and_to_no_other_service() -> None:
    exporter = roles.scope().export_role
    to_rds = {"iam:PassedToService": "export.rds.amazonaws.com"}
    assert who_may(Call("iam:PassRole", exporter, to_rds, HOME)) == {"export"}
    assert (
        who_may(Call("iam:PassRole", exporter, {"iam:PassedToService": "lambda.amazonaws.com"}, HOME))
        == set()
    )
    another = exporter.replace("rds-export", "examine")
    assert who_may(Call("iam:PassRole", another, to_rds, HOME)) == set()


@pytest.mark.parametrize("role", IDS)
def test_a_role_stays_in_its_region_but_for_what_rds_s3_and_events_need(role: str) -> None:
    cell, policy = roles.ALL[role]
    away = AWAY if cell.is_primary else HOME
    generous = document(allow("Everything", "*", "*"), *policy["Statement"])
    spared = {
        action
        for action in (
            "rds:DescribeDBInstances", "rds:CopyDBSnapshot", "s3:PutObject", "kms:CreateGrant", "kms:DescribeKey",
            "kms:Decrypt", "events:PutEvents", "secretsmanager:GetSecretValue", "lambda:InvokeFunction",
        )
        if Call(action, "*", {}, away).decided(generous) == ALLOW
    }  # fmt: skip
    expected = {
        f"copy-{AWAY}": {"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "rds:CopyDBSnapshot"},
        f"forwarder-{HOME}": {"events:PutEvents"},
        f"forwarder-{AWAY}": {"events:PutEvents"},
        f"s3-replication-{HOME}": {"s3:PutObject", "kms:Decrypt"},
        f"s3-replication-{AWAY}": {"s3:PutObject", "kms:Decrypt"},
    }
    assert spared == expected.get(role, set())


@pytest.mark.parametrize("key", ["production", "storage"])
def test_a_copy_lets_rds_of_either_region_encrypt_anew_and_nobody_else(key: str) -> None:
    region = HOME if key == "production" else AWAY
    arn = f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}"
    for action in ENCRYPTS_ANEW:
        for through in (HOME, AWAY):
            by_rds = {"kms:ViaService": f"rds.{through}.amazonaws.com"}
            assert "copy" in who_may(Call(action, arn, by_rds, region), AWAY)
        assert "copy" not in who_may(Call(action, arn, {}, region), AWAY)


@pytest.mark.parametrize("name", functions.STATEMENTS)
def test_a_functions_own_code_has_no_use_of_its_network_interfaces(name: str) -> None:
    cell, policy = roles.ALL.get(f"{name}-{HOME}") or roles.ALL[f"{name}-{AWAY}"]
    itself = {"lambda:SourceFunctionArn": cell.arn("lambda", f"function:pgdrill-test-{name}")}
    make = "ec2:CreateNetworkInterface"
    assert Call(make, "*", {}, cell.region).decided(policy) == ALLOW
    assert Call(make, "*", itself, cell.region).decided(policy) == DENY


# Who may what ----------------------------------------------------------------------------------------------


def test_only_those_who_log_in_to_production_read_its_secret() -> None:
    secret = f"arn:aws:secretsmanager:{HOME}:{ACCOUNT}:secret:shop/pgdrill-AbCdEf"
    read = Call("secretsmanager:GetSecretValue", secret, {}, HOME)
    assert who_may(read) == {"beat", "seal"}
    master = Call(read.action, secret.replace("shop/pgdrill", "shop/master"), {}, HOME)
    longer = Call(read.action, secret.replace("shop/pgdrill", "shop/pgdrill-2"), {}, HOME)
    assert who_may(master) == who_may(longer) == set()
    assert who_may(Call(read.action, secret.replace(HOME, AWAY), {}, AWAY), AWAY) == set()


def test_the_watch_is_told_of_an_entry_that_is_gone_for_good_too() -> None:
    gone = f"arn:aws:secretsmanager:{HOME}:{ACCOUNT}:secret:shop/pgdrill"
    look = "secretsmanager:DescribeSecret"
    for entry in (gone, f"{gone}-AbCdEf", gone.replace("pgdrill", "master")):
        assert who_may(Call(look, entry, {}, HOME)) == {"watch-machine"}
    for entry in (f"{gone}-2", f"{gone}-2-AbCdEf"):
        assert who_may(Call(look, entry, {}, HOME)) == set()
    assert who_may(Call("secretsmanager:GetSecretValue", gone, {}, HOME)) == set()


def test_only_those_who_open_the_copy_derive_its_password() -> None:
    key = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/mac"
    assert who_may(Call("kms:GenerateMac", key, {}, HOME)) == {"unlock", "examine", "confront"}
    assert who_may(Call("kms:GenerateMac", key.replace(HOME, AWAY), {}, AWAY), AWAY) == {"unlock", "examine"}


def test_only_those_who_write_records_sign() -> None:
    key = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/signing"
    assert who_may(Call("kms:Sign", key, {}, HOME)) == {"judge", "destroy"}


def test_evidence_is_written_by_judge_and_destroy_alone() -> None:
    record = f"arn:aws:s3:::{roles.scope().evidence}/evidence/shop/{HOME}/1/evidence.json"
    assert who_may(Call("s3:PutObject", record, {}, HOME)) == {"judge", "destroy"}
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutBucketPolicy"):
        assert who_may(Call(action, record, {}, HOME)) == set()


def test_nobody_alters_the_plan_or_the_code() -> None:
    for prefix in ("plan", "code"):
        key = f"arn:aws:s3:::{roles.scope().evidence}/{prefix}/x.json"
        assert who_may(Call("s3:PutObject", key, {}, HOME)) == set()


def test_leases_are_ended_and_points_deleted_by_those_whose_task_it_is() -> None:
    assert who_may(Call("rds:DeleteDBInstance", TEMPORARY, LEASED, HOME)) == {"choose", "destroy", "reap"}
    assert who_may(Call("rds:ModifyDBInstance", TEMPORARY, LEASED, HOME)) == {"unlock"}
    assert who_may(Call("rds:DeleteDBSnapshot", POINT, MARKED, HOME)) == {"retain"}
    away = Call("rds:DeleteDBSnapshot", POINT.replace(HOME, AWAY), MARKED, AWAY)
    assert who_may(away, AWAY) == {"retain", "copy"}


def test_points_are_taken_with_the_tags_of_a_point_alone() -> None:
    tags = {"aws:RequestTag/PgDrillRole": "point", "aws:RequestTag/PgDrillSuffix": "test"}
    for resource in (PRODUCTION, POINT):
        assert who_may(Call("rds:CreateDBSnapshot", resource, tags, HOME)) == {"take"}
        assert who_may(Call("rds:CreateDBSnapshot", resource, {}, HOME)) == set()
    another = PRODUCTION.replace("shop-production", "ledger-production")
    assert who_may(Call("rds:CreateDBSnapshot", another, tags, HOME)) == set()


def test_a_key_is_used_through_the_service_that_it_is_for() -> None:
    cell = roles.scope(AWAY)
    for key in (cell.storage_key, *cell.sources):
        there = key.split(":")[3]
        grant = {"kms:ViaService": f"rds.{there}.amazonaws.com", "kms:GrantIsForAWSResource": "true"}
        assert "copy" in who_may(Call("kms:CreateGrant", key, grant, there), AWAY)
        directly = {"kms:GrantIsForAWSResource": "true"}
        assert who_may(Call("kms:CreateGrant", key, directly, there), AWAY) == set()
        for_somebody = grant | {"kms:GrantIsForAWSResource": "false"}
        assert who_may(Call("kms:CreateGrant", key, for_somebody, there), AWAY) == set()
    assert who_may(Call("kms:Decrypt", cell.storage_key, {}, AWAY), AWAY) == set()


def test_only_the_machine_that_publishes_reaches_metrics_and_the_bus_and_only_the_canary_besides_people() -> (
    None
):
    own = {"cloudwatch:namespace": "pgdrill"}
    assert who_may(Call("cloudwatch:PutMetricData", "*", own, HOME)) == {"publish-machine"}
    assert who_may(Call("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/RDS"}, HOME)) == set()
    topic = f"arn:aws:sns:{HOME}:{ACCOUNT}:pgdrill-test-backups"
    assert who_may(Call("sns:Publish", topic, {}, HOME)) == {
        "publish-machine",
        "canary-machine",
    }
    bus = f"arn:aws:events:{HOME}:{ACCOUNT}:event-bus/pgdrill-test"
    assert who_may(Call("events:PutEvents", bus, {"events:source": "pgdrill.test"}, HOME)) == {
        "publish-machine"
    }
    assert who_may(Call("events:PutEvents", bus, {"events:source": "aws.rds"}, HOME)) == set()


def test_a_machine_invokes_its_own_functions_in_any_version() -> None:
    function = f"arn:aws:lambda:{HOME}:{ACCOUNT}:function:pgdrill-test-seal"
    for version in ("1", "17"):
        invoke = Call("lambda:InvokeFunction", f"{function}:{version}", {}, HOME)
        assert who_may(invoke) == {"seal-machine", "take-machine"}
    assert who_may(Call("lambda:InvokeFunction", function, {}, HOME)) == set()


@pytest.mark.parametrize("role", IDS)
def test_nothing_is_allowed_on_what_another_suffix_has(role: str) -> None:
    cell, policy = roles.ALL[role]
    theirs = roles.of(roles.scope(cell.region, "testing"))
    reads = {"rds:DescribeDBInstances", "rds:DescribeDBSnapshots"}
    for other in theirs.values():
        for statement in other["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            named = [resource for resource in statement["Resource"] if "pgdrill-testing" in resource]
            keys = _met(statement.get("Condition", {}))
            for action in set(statement["Action"]) - reads:
                for resource in named:
                    concrete = resource.replace("*", "x").replace("?", "x")
                    assert Call(action, concrete, keys, cell.region).decided(policy) != ALLOW


def _met(condition: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return keys that meet a condition of our own kinds."""
    keys = {name: value for operator in condition.values() for name, value in operator.items()}
    return {name: value[0] if isinstance(value, list) else value for name, value in keys.items()}


# What policies are made of ----------------------------------------------------------------------------------


def _lint() -> dict[str, set[str]]:
    """Return what the linter finds, by what it finds it with, and the roles."""
    found: dict[str, set[str]] = {}
    for role, (_, policy) in roles.ALL.items():
        for finding in findings(policy):
            about = next((about for about in EXPLAINED if about in finding), finding)
            found.setdefault(about, set()).add(role)
    return found


def test_the_linter_finds_nothing_that_is_not_explained_and_all_that_is() -> None:
    found = _lint()
    assert {about: sorted(who) for about, who in found.items() if about not in EXPLAINED} == {}
    assert set(found) == set(EXPLAINED)


def test_the_linter_would_find_a_mistake() -> None:
    wrong = document(allow("Typo", "rds:DescribeDBInstance", "*"))
    assert [finding.partition(":")[0] for finding in findings(wrong)] == ["UNKNOWN_ACTION"]


def test_whatever_is_allowed_on_everything_has_a_reason_and_no_reason_is_left_over() -> None:
    reasons = functions.WIDE | services.WIDE
    wide = {
        statement["Sid"]
        for _, policy in roles.ALL.values()
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow" and "*" in statement["Resource"]
    }
    assert wide == set(reasons)


@pytest.mark.parametrize("role", IDS)
def test_no_action_is_allowed_by_pattern_and_no_log_group_is_made_at_run_time(role: str) -> None:
    actions = [
        action
        for statement in document_of(role)["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    ]
    patterns = {action for action in actions if "*" in action}
    assert patterns == (set(services.PATTERNS) if role.startswith("rds-export") else set())
    assert "logs:CreateLogGroup" not in actions


@pytest.mark.parametrize(
    ("action", "on"),
    [
        *(
            (f"s3:{action}", f"arn:aws:s3:::{roles.scope().archive}/exports/a.parquet")
            for action in (
                "PutObject",
                "PutObjectTagging",
                "GetObject",
                "DeleteObject",
                "DeleteObjectVersion",
            )
        ),
        *(
            (f"s3:{action}", f"arn:aws:s3:::{roles.scope().archive}")
            for action in ("ListBucket", "GetBucketLocation")
        ),
        *(
            (f"kms:{action}", roles.scope().storage_key)
            for action in (
                "Encrypt",
                "Decrypt",
                "GenerateDataKey",
                "ReEncryptFrom",
                "ReEncryptTo",
                "DescribeKey",
            )
        ),
    ],
)
def test_an_export_may_what_rds_requires_of_its_role_in_the_archive_alone(action: str, on: str) -> None:
    policy = roles.of(roles.scope())["rds-export"]
    assert Call(action, on, {}, HOME).decided(policy) == ALLOW
    elsewhere = on.replace(roles.scope().archive, roles.scope().evidence).replace(":key/", ":key/of-another-")
    assert Call(action, elsewhere, {}, HOME).decided(policy) != ALLOW


@pytest.mark.parametrize("role", IDS)
def test_a_statement_has_a_name_of_its_own(role: str) -> None:
    names = [statement["Sid"] for statement in document_of(role)["Statement"]]
    assert sorted(set(names)) == sorted(names)


def test_a_policy_fits_for_two_dozen_databases_of_long_names() -> None:
    for policy in roles.of(roles.with_databases(24)).values():
        rendered(policy)


def test_a_policy_that_iam_would_refuse_is_refused_at_preview() -> None:
    too_many = roles.of(roles.with_databases(300))["take"]
    with pytest.raises(
        ValueError, match=r"and IAM takes 10240: the plan names too many databases for one deployment"
    ):
        rendered(too_many)


def test_every_reason_for_an_unused_grant_is_of_a_grant() -> None:
    granted = {
        (name.rpartition(f"-{scope.region}")[0], statement["Sid"], action)
        for name, (scope, policy) in roles.ALL.items()
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
    assert set(ONLY_IN_NEED | WHERE_LOCKED) - granted == set()
    assert set(ONLY_IN_AWS) - {(sid, action) for _, sid, action in granted} == set()


def test_a_reason_excuses_the_role_that_it_is_about_alone() -> None:
    look = ("LookAtTemporary", "rds:DescribeDBInstances")
    assert why("restore", *look) == "an instance that is there already is adopted if it is the drill's"
    for role in ("observe", "unlock", "examine", "destroy", "confront"):
        assert why(role, *look) is None
    assert why("observe", "Interfaces", "ec2:DeleteNetworkInterface") is not None
    assert why("canary-machine", "Publish", "sns:Publish") is None


def test_the_document_is_fresh() -> None:
    assert permissions.DOCUMENT.read_text(encoding="utf-8") == permissions.document(), "run: make docs"
