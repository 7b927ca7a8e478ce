"""What is deployed is what was asked for, as AWS itself tells it: database, networks, buckets, keys, functions, schedules."""

import json
from typing import Any

import pytest

from tests.integration.deployed import Cell, Deployment

REQUIRED = {"Environment", "Owner", "CostCenter", "EnvironmentSuffix", "ManagedBy"}
MONTHS_13 = 396


def statements(policy: str) -> list[Any]:
    found = json.loads(policy)["Statement"]
    return found if isinstance(found, list) else [found]


# ------------------------------------------------------------------------------------------------- the database


def test_the_database_is_small_encrypted_backed_up_and_private(primary: Cell, deployment: Deployment) -> None:
    rds = primary.client("rds")
    for name in primary.each("DatabaseInstances"):
        (found,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        assert found["Engine"] == "postgres"
        assert found["EngineVersion"].startswith("15.")
        assert found["DBInstanceClass"] in {"db.t3.micro", "db.t3.small", "db.t3.medium"}
        assert (found["StorageType"], found["StorageEncrypted"]) == ("gp3", True)
        assert found["KmsKeyId"] == primary["StorageKeyArn"]
        assert found["BackupRetentionPeriod"] == 7
        assert not found["PubliclyAccessible"]
        (planned,) = (one for one in deployment.plan["database"] if one["instance"] == name)
        assert found["MultiAZ"] == planned.get("multi_az", True)
        assert found["DBSubnetGroup"]["VpcId"] == primary["ProductionVpcId"]
        assert {"postgresql"} <= set(found["EnabledCloudwatchLogsExports"])


def test_the_database_forces_tls(primary: Cell) -> None:
    rds = primary.client("rds")
    for name in primary.each("DatabaseInstances"):
        (found,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        (group,) = found["DBParameterGroups"]
        set_ = {
            one["ParameterName"]: one.get("ParameterValue")
            for one in primary.pages(
                "rds",
                "describe_db_parameters",
                "Parameters",
                DBParameterGroupName=group["DBParameterGroupName"],
            )
        }
        assert set_["rds.force_ssl"] == "1"


# ------------------------------------------------------------------------------------------------- networks


def test_no_network_has_a_way_to_the_internet(cell: Cell) -> None:
    ec2 = cell.client("ec2")
    for vpc in {cell["DrillVpcId"], cell["ProductionVpcId"]}:
        within = [{"Name": "vpc-id", "Values": [vpc]}]
        routes = [
            route.get("GatewayId") or route.get("NatGatewayId") or route.get("TransitGatewayId")
            for table in ec2.describe_route_tables(Filters=within)["RouteTables"]
            for route in table["Routes"]
        ]
        assert {gateway for gateway in routes if not str(gateway).startswith("vpce-")} == {"local"}
        attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
        assert ec2.describe_internet_gateways(Filters=attached)["InternetGateways"] == []
        subnets = ec2.describe_subnets(Filters=within)["Subnets"]
        assert len({one["AvailabilityZone"] for one in subnets}) >= 2
        assert not any(one["MapPublicIpOnLaunch"] for one in subnets)


def test_every_network_logs_its_flows(cell: Cell) -> None:
    ec2 = cell.client("ec2")
    for vpc in {cell["DrillVpcId"], cell["ProductionVpcId"]}:
        named: Any = [{"Name": "resource-id", "Values": [vpc]}]
        logs = ec2.describe_flow_logs(Filters=named)["FlowLogs"]
        assert [(one["TrafficType"], one["FlowLogStatus"]) for one in logs] == [("ALL", "ACTIVE")]
        assert all(one["DeliverLogsPermissionArn"] for one in logs)


def test_every_endpoint_has_a_policy_for_this_account_alone(cell: Cell) -> None:
    found = [
        one
        for one in cell.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        if one["VpcId"] in {cell["DrillVpcId"], cell["ProductionVpcId"]}
    ]
    drill = {one["ServiceName"].rpartition(".")[2] for one in found if one["VpcId"] == cell["DrillVpcId"]}
    assert drill == {"rds", "kms", "s3"}
    for one in found:
        for statement in statements(one["PolicyDocument"]):
            limited = statement.get("Principal") != "*" or "Condition" in statement
            assert statement["Effect"] == "Deny" or limited, (one["ServiceName"], statement)
        if one["VpcEndpointType"] == "Interface":
            assert one["Groups"], one["ServiceName"]
            assert one["PrivateDnsEnabled"], one["ServiceName"]


def test_a_drills_instance_admits_functions_alone(cell: Cell) -> None:
    named = [{"Name": "group-id", "Values": [cell["DrillSecurityGroupId"]]}]
    rules = cell.client("ec2").describe_security_group_rules(Filters=named)["SecurityGroupRules"]
    assert [(one["IsEgress"], one["FromPort"], one["ToPort"]) for one in rules] == [(False, 5432, 5432)]
    assert all("ReferencedGroupInfo" in one for one in rules)


# ------------------------------------------------------------------------------------------------- buckets

BUCKETS = ("EvidenceBucket", "ArchiveBucket", "LogBucket")


@pytest.mark.parametrize("which", BUCKETS)
def test_a_bucket_is_closed_encrypted_and_takes_tls_alone(cell: Cell, which: str) -> None:
    s3, bucket = cell.client("s3"), cell[which]
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(blocked[name] for name in blocked)
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    encryption = rule["ApplyServerSideEncryptionByDefault"]
    if which == "LogBucket":  # S3 delivers its access logs to nothing else
        assert encryption["SSEAlgorithm"] == "AES256"
    else:
        assert (encryption["SSEAlgorithm"], encryption["KMSMasterKeyID"]) == (
            "aws:kms",
            cell["StorageKeyArn"],
        )
        assert rule["BucketKeyEnabled"]
        assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]["TargetBucket"] == cell["LogBucket"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    denied = [
        one
        for one in statements(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        if one.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert [(one["Effect"], one["Action"]) for one in denied] == [("Deny", "s3:*")]


def test_exports_go_after_thirty_days_and_evidence_stays_thirteen_months(cell: Cell) -> None:
    s3 = cell.client("s3")

    def days(bucket: str) -> set[int]:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        return {rule["Expiration"]["Days"] for rule in rules if "Days" in rule.get("Expiration", {})}

    assert days(cell["ArchiveBucket"]) == {30}
    assert days(cell["EvidenceBucket"]) == {MONTHS_13}
    archive = s3.get_bucket_lifecycle_configuration(Bucket=cell["ArchiveBucket"])["Rules"]
    assert any("AbortIncompleteMultipartUpload" in rule for rule in archive)
    assert any("NoncurrentVersionExpiration" in rule for rule in archive)


def test_evidence_is_replicated_under_the_other_cells_key(deployment: Deployment) -> None:
    for here, there in (deployment.cells, deployment.cells[::-1]):
        found = here.client("s3").get_bucket_replication(Bucket=here["EvidenceBucket"])
        rules = found["ReplicationConfiguration"]["Rules"]
        places = {rule["Destination"]["Bucket"].rpartition(":")[2] for rule in rules}
        keys = {rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"] for rule in rules}
        assert places == {there["EvidenceBucket"]}
        assert keys == {there["StorageKeyArn"]}
        assert {"seals/", "witness/", "evidence/"} <= {rule["Filter"]["Prefix"] for rule in rules}


# ------------------------------------------------------------------------------------------------- keys


def test_keys_are_of_their_kind_rotated_and_open_to_nobody_else(cell: Cell) -> None:
    kms = cell.client("kms")
    for which, usage in (
        ("StorageKeyArn", "ENCRYPT_DECRYPT"),
        ("MessagesKeyArn", "ENCRYPT_DECRYPT"),
        ("MacKeyArn", "GENERATE_VERIFY_MAC"),
        ("SigningKeyArn", "SIGN_VERIFY"),
    ):
        key = kms.describe_key(KeyId=cell[which])["KeyMetadata"]
        assert (key["KeyUsage"], key["KeyState"], key["KeyManager"]) == (usage, "Enabled", "CUSTOMER")
        policy = kms.get_key_policy(KeyId=cell[which], PolicyName="default")["Policy"]
        for statement in statements(policy):
            assert statement["Effect"] == "Deny" or statement["Principal"] != "*", statement
        rotates = usage == "ENCRYPT_DECRYPT"
        assert not rotates or kms.get_key_rotation_status(KeyId=cell[which])["KeyRotationEnabled"]


# ------------------------------------------------------------------------------------------------- functions


def test_functions_run_in_private_subnets_from_published_versions(cell: Cell) -> None:
    functions = cell.named("FunctionArn")
    assert {"Take", "Beat", "Seal"} <= functions.keys() or cell.name == "dr"
    drill, production = set(cell.each("DrillSubnetIds")), set(cell.each("ProductionSubnetIds"))
    for name, arn in functions.items():
        found = cell.client("lambda").get_function(FunctionName=arn)["Configuration"]
        assert (found["Runtime"], found["Architectures"]) == ("python3.13", ["arm64"]), name
        assert found["Version"] == arn.rpartition(":")[2] != "$LATEST", name
        expected = production if name in {"Beat", "Seal"} else drill
        assert set(found["VpcConfig"]["SubnetIds"]) == expected, name
        assert found["Timeout"] <= 900
        assert found["KMSKeyArn"] == cell["StorageKeyArn"], name
        assert found["Role"] == cell[f"{name}RoleArn"]
        variables = found["Environment"]["Variables"]
        assert set(variables) == {"PGDRILL_PLAN", "PGDRILL_BUCKET", "PGDRILL_CELL"}, name
        assert variables["PGDRILL_CELL"] == cell.name


def test_every_function_and_machine_logs_to_a_group_with_key_and_retention(cell: Cell) -> None:
    wanted = {f"/aws/lambda/{arn.split(':')[6]}" for arn in cell.named("FunctionArn").values()}
    wanted |= {f"/aws/vendedlogs/states/{arn.split(':')[6]}" for arn in cell.named("MachineArn").values()}
    groups = {one["logGroupName"]: one for one in cell.pages("logs", "describe_log_groups", "logGroups")}
    assert wanted <= groups.keys()
    for name in wanted:
        assert groups[name]["kmsKeyId"] == cell["StorageKeyArn"], name
        assert groups[name]["retentionInDays"] > 0, name


# ------------------------------------------------------------------------------------------------- schedules


def test_schedules_are_the_plans_in_utc_with_a_queue_for_what_is_lost(
    cell: Cell, deployment: Deployment
) -> None:
    found = {}
    for one in cell.pages("scheduler", "list_schedules", "Schedules", GroupName=cell["ScheduleGroup"]):
        schedule = cell.client("scheduler").get_schedule(Name=one["Name"], GroupName=cell["ScheduleGroup"])
        found[one["Name"].removeprefix(f"pgdrill-{cell.suffix}-")] = schedule
    databases = {one["name"] for one in deployment.plan["database"]}
    both = {"watch", "retain", "reap"} | {f"drill-{name}" for name in databases}
    jobs = {f"{job}-{name}" for job in ("take", "seal") for name in databases} | {"beat", "export"}
    assert found.keys() >= both | (jobs if cell.name == "primary" else {"copy"})
    machines = set(cell.named("MachineArn").values())
    for name, one in found.items():
        assert (one["ScheduleExpressionTimezone"], one["State"]) == ("UTC", "ENABLED"), name
        assert one["FlexibleTimeWindow"] == {"Mode": "OFF"}, name
        assert one["Target"]["DeadLetterConfig"]["Arn"] == cell["DeadLetterQueueArn"], name
        assert one["Target"]["Arn"] in machines, name
        given = json.loads(one["Target"]["Input"])
        assert given["due_at"] == "<aws.scheduler.scheduled-time>", name


def test_slots_are_taken_six_hourly(primary: Cell, deployment: Deployment) -> None:
    for database in deployment.plan["database"]:
        name = f"pgdrill-{primary.suffix}-take-{database['name']}"
        one = primary.client("scheduler").get_schedule(Name=name, GroupName=primary["ScheduleGroup"])
        minute, hours = one["ScheduleExpression"].removeprefix("cron(").split(" ")[:2]
        assert minute.isdigit()
        assert len(hours.split(",")) == 4


# ------------------------------------------------------------------------------------------------- all of it


def test_everything_that_can_carry_tags_carries_ours(cell: Cell) -> None:
    tagged: dict[str, set[str]] = {}
    kms, rds, sfn = cell.client("kms"), cell.client("rds"), cell.client("stepfunctions")
    for which in ("StorageKeyArn", "MessagesKeyArn", "MacKeyArn", "SigningKeyArn"):
        tagged[cell[which]] = {one["TagKey"] for one in kms.list_resource_tags(KeyId=cell[which])["Tags"]}
    for which in BUCKETS:
        tags = cell.client("s3").get_bucket_tagging(Bucket=cell[which])["TagSet"]
        tagged[cell[which]] = {one["Key"] for one in tags}
    for arn in cell.named("FunctionArn").values():
        unqualified = arn.rpartition(":")[0]
        tagged[arn] = set(cell.client("lambda").list_tags(Resource=unqualified)["Tags"])
    for arn in cell.named("MachineArn").values():
        tagged[arn] = {one["key"] for one in sfn.list_tags_for_resource(resourceArn=arn)["tags"]}
    for arn in cell.each("DatabaseArns"):
        tagged[arn] = {one["Key"] for one in rds.list_tags_for_resource(ResourceName=arn)["TagList"]}
    for arn in cell.named("RoleArn").values():
        found = cell.client("iam").list_role_tags(RoleName=arn.rpartition("/")[2])["Tags"]
        tagged[arn] = {one["Key"] for one in found}
    for which in ("BackupsTopicArn", "DrillsTopicArn"):
        found = cell.client("sns").list_tags_for_resource(ResourceArn=cell[which])["Tags"]
        tagged[cell[which]] = {one["Key"] for one in found}
    for vpc in (cell["DrillVpcId"], cell["ProductionVpcId"]):
        (one,) = cell.client("ec2").describe_vpcs(VpcIds=[vpc])["Vpcs"]
        tagged[vpc] = {tag["Key"] for tag in one["Tags"]}
    assert {name: REQUIRED - keys for name, keys in tagged.items() if not keys >= REQUIRED} == {}


def test_roles_are_taken_by_their_service_alone(cell: Cell) -> None:
    for name, arn in cell.named("RoleArn").items():
        role = cell.client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
        trust = role["AssumeRolePolicyDocument"]
        for statement in statements(trust if isinstance(trust, str) else json.dumps(trust)):
            assert set(statement["Principal"]) == {"Service"}, name


def test_a_bus_is_open_to_nobody_else(cell: Cell) -> None:
    bus = cell.client("events").describe_event_bus(Name=cell["BusArn"].rpartition("/")[2])
    for statement in statements(bus["Policy"]) if bus.get("Policy") else []:
        assert statement["Principal"] != "*"
