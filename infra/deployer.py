"""What whoever runs `pulumi up` and `pulumi destroy` must be allowed, by the types that the program registers. Pure.

By ARN where a thing has a name of ours, by its tag where AWS gives it an id, and on everything only to make what has
no id yet, with our tag on it, and to look. Nothing of it reads a record, derives a password or signs; but who writes
the policies of buckets, keys and roles can give that to somebody, so who deploys is trusted with the system.

Source: Service Authorization Reference; the calls are those of the AWS provider's resources.
"""

from collections.abc import Iterable
from typing import Any

from naming import Names
from policies import EVERYTHING, Document, Statement, allow, document

_S3_LOOK = (
    "GetAccelerateConfiguration", "GetBucketAcl", "GetBucketCORS", "GetBucketLocation", "GetBucketLogging",
    "GetBucketObjectLockConfiguration", "GetBucketPolicy", "GetBucketPublicAccessBlock", "GetBucketRequestPayment",
    "GetBucketTagging", "GetBucketVersioning", "GetBucketWebsite", "GetEncryptionConfiguration",
    "GetLifecycleConfiguration", "GetReplicationConfiguration", "ListBucket",
)  # fmt: skip
_TAGS = ("ListTagsForResource", "TagResource", "UntagResource")

# By type: the service, and the actions that make, look at, change and delete one. `ec2` and `kms` are below.
ACTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "aws:cloudwatch/alarmMuteRule:AlarmMuteRule": (
        "cloudwatch", ("DeleteAlarmMuteRule", "GetAlarmMuteRule", "PutAlarmMuteRule", *_TAGS),
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": (
        "cloudwatch", ("DeleteAlarms", "DescribeAlarms", "PutCompositeAlarm", *_TAGS),
    ),
    "aws:cloudwatch/dashboard:Dashboard": (
        "cloudwatch", ("DeleteDashboards", "GetDashboard", "PutDashboard"),
    ),
    "aws:cloudwatch/eventBus:EventBus": (
        "events", ("CreateEventBus", "DeleteEventBus", "DescribeEventBus", "UpdateEventBus", *_TAGS),
    ),
    "aws:cloudwatch/eventRule:EventRule": ("events", ("DeleteRule", "DescribeRule", "PutRule", *_TAGS)),
    "aws:cloudwatch/eventTarget:EventTarget": ("events", ("ListTargetsByRule", "PutTargets", "RemoveTargets")),
    "aws:cloudwatch/logGroup:LogGroup": (
        "logs",
        ("AssociateKmsKey", "CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups", "DisassociateKmsKey",
         "PutRetentionPolicy", *_TAGS),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        "cloudwatch", ("DeleteAlarms", "DescribeAlarms", "PutMetricAlarm", *_TAGS),
    ),
    "aws:iam/role:Role": (
        "iam",
        ("CreateRole", "DeleteRole", "GetRole", "ListAttachedRolePolicies", "ListInstanceProfilesForRole",
         "ListRolePolicies", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole",
         "UpdateRoleDescription"),
    ),
    "aws:iam/rolePolicy:RolePolicy": ("iam", ("DeleteRolePolicy", "GetRolePolicy", "PutRolePolicy")),
    "aws:lambda/function:Function": (
        "lambda",
        ("CreateFunction", "DeleteFunction", "GetFunction", "GetFunctionCodeSigningConfig",
         "GetFunctionConfiguration", "ListVersionsByFunction", "ListTags", "PublishVersion", "TagResource", "UntagResource",
         "UpdateFunctionCode", "UpdateFunctionConfiguration"),
    ),
    "aws:rds/instance:Instance": (
        "rds",
        ("AddTagsToResource", "CreateDBInstance",
         # Asked of whoever deletes an instance that leaves a final snapshot: `protect`.
         "CreateDBSnapshot",
         "DeleteDBInstance", "DescribeDBInstances", "ListTagsForResource", "ModifyDBInstance",
         "RemoveTagsFromResource"),
    ),
    "aws:rds/parameterGroup:ParameterGroup": (
        "rds",
        ("CreateDBParameterGroup", "DeleteDBParameterGroup", "DescribeDBParameterGroups", "DescribeDBParameters",
         "ModifyDBParameterGroup", "ResetDBParameterGroup"),
    ),
    "aws:rds/subnetGroup:SubnetGroup": (
        "rds", ("CreateDBSubnetGroup", "DeleteDBSubnetGroup", "DescribeDBSubnetGroups", "ModifyDBSubnetGroup"),
    ),
    "aws:s3/bucket:Bucket": (
        "s3", ("CreateBucket", "DeleteBucket", "ListBucketVersions", "PutBucketTagging", *_S3_LOOK),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("s3", ("PutLifecycleConfiguration",)),
    "aws:s3/bucketLogging:BucketLogging": ("s3", ("PutBucketLogging",)),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": (
        "s3", ("PutBucketObjectLockConfiguration",),
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": ("s3", ()),
    "aws:s3/bucketPolicy:BucketPolicy": ("s3", ("DeleteBucketPolicy", "PutBucketPolicy")),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("s3", ("PutBucketPublicAccessBlock",)),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": ("s3", ("PutReplicationConfiguration",)),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3", ("PutEncryptionConfiguration",),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": ("s3", ("PutBucketVersioning",)),
    "aws:scheduler/schedule:Schedule": (
        "scheduler", ("CreateSchedule", "DeleteSchedule", "GetSchedule", "UpdateSchedule"),
    ),
    "aws:scheduler/scheduleGroup:ScheduleGroup": (
        "scheduler", ("CreateScheduleGroup", "DeleteScheduleGroup", "GetScheduleGroup", *_TAGS),
    ),
    "aws:servicequotas/serviceQuota:ServiceQuota": (
        "servicequotas",
        ("GetAWSDefaultServiceQuota", "GetRequestedServiceQuotaChange", "GetServiceQuota",
         "RequestServiceQuotaIncrease"),
    ),
    "aws:sfn/stateMachine:StateMachine": (
        "states",
        ("CreateStateMachine", "DeleteStateMachine", "DescribeStateMachine", "ListStateMachineVersions",
         "UpdateStateMachine",
         # Every preview of a definition that is new or changed.
         "ValidateStateMachineDefinition", *_TAGS),
    ),
    "aws:sns/topic:Topic": (
        "sns", ("CreateTopic", "DeleteTopic", "GetTopicAttributes", "SetTopicAttributes", *_TAGS),
    ),
    "aws:sns/topicPolicy:TopicPolicy": ("sns", ("GetTopicAttributes", "SetTopicAttributes")),
    "aws:sns/topicSubscription:TopicSubscription": (
        "sns", ("GetSubscriptionAttributes", "SetSubscriptionAttributes", "Subscribe", "Unsubscribe"),
    ),
    "aws:sqs/queue:Queue": (
        "sqs",
        ("CreateQueue", "DeleteQueue", "GetQueueAttributes", "GetQueueUrl", "ListQueueTags", "SetQueueAttributes",
         "TagQueue", "UntagQueue"),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": ("sqs", ("GetQueueAttributes", "SetQueueAttributes")),
}  # fmt: skip

# What has an id of AWS's: what makes one, what looks, and what changes or deletes one that carries our tag.
BY_TAG: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (
        "ec2", (), ("DescribeSecurityGroups",), ("RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress"),
    ),
    "aws:ec2/flowLog:FlowLog": ("ec2", ("CreateFlowLogs",), ("DescribeFlowLogs",), ("DeleteFlowLogs",)),
    "aws:ec2/routeTable:RouteTable": (
        "ec2", ("CreateRouteTable",), ("DescribeRouteTables",), ("DeleteRouteTable",),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (
        "ec2", (), (), ("AssociateRouteTable", "DisassociateRouteTable"),
    ),
    "aws:ec2/securityGroup:SecurityGroup": (
        "ec2", ("CreateSecurityGroup",), ("DescribeNetworkInterfaces", "DescribeSecurityGroups"),
        ("DeleteSecurityGroup", "RevokeSecurityGroupEgress"),
    ),
    "aws:ec2/subnet:Subnet": ("ec2", ("CreateSubnet",), ("DescribeSubnets",), ("DeleteSubnet",)),
    "aws:ec2/vpc:Vpc": (
        "ec2", ("CreateVpc",),
        ("DescribeAvailabilityZones", "DescribeNetworkAcls", "DescribeVpcAttribute", "DescribeVpcs"),
        ("DeleteVpc", "ModifyVpcAttribute"),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (
        "ec2", ("CreateVpcEndpoint",), ("DescribePrefixLists", "DescribeVpcEndpoints"),
        ("DeleteVpcEndpoints", "ModifyVpcEndpoint"),
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (
        "ec2", (), ("DescribeSecurityGroupRules",),
        ("AuthorizeSecurityGroupEgress", "ModifySecurityGroupRules", "RevokeSecurityGroupEgress"),
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        "ec2", (), ("DescribeSecurityGroupRules",),
        ("AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules", "RevokeSecurityGroupIngress"),
    ),
    "aws:kms/alias:Alias": ("kms", (), ("ListAliases",), ("CreateAlias", "DeleteAlias", "UpdateAlias")),
    "aws:kms/key:Key": (
        "kms", ("CreateKey",), (),
        ("DescribeKey", "DisableKeyRotation", "EnableKeyRotation", "GetKeyPolicy", "GetKeyRotationStatus",
         "ListResourceTags", "PutKeyPolicy", "ScheduleKeyDeletion", "TagResource", "UntagResource",
         "UpdateKeyDescription"),
    ),
}  # fmt: skip
# With a setting that is off by default.
OPTIONAL = {
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication": (
        "StartDBInstanceAutomatedBackupsReplication", "StopDBInstanceAutomatedBackupsReplication",
        "DescribeDBInstanceAutomatedBackups",
    ),
    "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration": (
        "CreateSlackChannelConfiguration", "DeleteSlackChannelConfiguration",
        "DescribeSlackChannelConfigurations", "UpdateSlackChannelConfiguration",
    ),
}  # fmt: skip

WIDE = {
    "Look": "lists have no resource",
    "Make": "what is made has no id yet; it must carry the deployment's tag",
    "LookAtLogs": "logs:DescribeLogGroups lists those of an account",
    "Quotas": "Service Quotas knows a resource for a request alone",
    "Subscriptions": "SNS knows no resource for a subscription that is there",
    "Definitions": "a definition is validated before there is a state machine",
}
_WITHOUT_RESOURCE = {
    "logs:DescribeLogGroups": "LookAtLogs",
    "servicequotas:GetAWSDefaultServiceQuota": "Quotas",
    "servicequotas:GetRequestedServiceQuotaChange": "Quotas",
    "servicequotas:GetServiceQuota": "Quotas",
    "sns:GetSubscriptionAttributes": "Subscriptions",
    "sns:SetSubscriptionAttributes": "Subscriptions",
    "sns:Unsubscribe": "Subscriptions",
    "states:ValidateStateMachineDefinition": "Definitions",
}
_PASSED_TO = (
    "events.amazonaws.com", "export.rds.amazonaws.com", "lambda.amazonaws.com", "s3.amazonaws.com",
    "scheduler.amazonaws.com", "states.amazonaws.com", "vpc-flow-logs.amazonaws.com",
)  # fmt: skip


def policies(
    cells: tuple[Names, Names], secrets: Iterable[str] = (), adopted: Iterable[str] = ()
) -> dict[str, Document]:
    """Return the documents that a deployer needs, by a name for each; IAM takes 6,144 characters in one.

    `cells` are the names of the primary and the DR region; `secrets` the master users' entries, `adopted` the
    instances that were there before.
    """
    return {
        "network-and-keys": document(*_by_tag(cells)),
        "storage-and-databases": document(
            *_of(cells, "s3", "rds", "servicequotas", "sqs", "sns"),
            *_objects(cells),
            *_adopted(cells, adopted),
        ),
        "functions-and-roles": document(
            *_of(cells, "lambda", "states", "scheduler", "events", "logs"),
            *_roles(cells),
            *_secrets(cells, secrets),
        ),
        "alarms": document(*_of(cells, "cloudwatch")),
    }


def _of(cells: tuple[Names, Names], *services: str) -> list[Statement]:
    statements = []
    for service in services:
        actions = sorted(
            {
                f"{service}:{action}"
                for found, actions in ACTIONS.values()
                if found == service
                for action in actions
            }
        )
        wide = [action for action in actions if action in _WITHOUT_RESOURCE]
        resources = [arn for names in cells for arn in _arns(service, names)]
        named = [action for action in actions if action not in wide]
        statements.append(allow(service.capitalize(), named, list(dict.fromkeys(resources))))
        if wide:
            statements.append(allow(_WITHOUT_RESOURCE[wide[0]], wide, EVERYTHING))
    return statements


def _arns(service: str, names: Names) -> list[str]:
    """Return the patterns of all that a service holds under our names in one region."""
    stem = names.stem
    patterns = {
        "cloudwatch": [f"alarm:{stem}-*", f"alarm-mute-rule:{stem}-*"],
        "events": [f"event-bus/{stem}", f"rule/{stem}/*", f"rule/{stem}-*"],
        "lambda": [f"function:{stem}-*"],
        "logs": [
            f"log-group:{group}*"
            for group in (
                names.function_logs(""), names.machine_logs(""), names.flow_logs(""),
                names.database_logs(f"{stem}-production-*"),
            )
        ],
        "rds": [f"{kind}:{stem}-*" for kind in ("db", "pg", "subgrp", "snapshot")] + ["og:default:postgres-*"],
        "scheduler": [f"schedule/{stem}/*", f"schedule-group/{stem}"],
        "servicequotas": ["rds/L-272F1212"],
        "sns": [f"{stem}-*"],
        "sqs": [f"{stem}-*"],
        "states": [f"stateMachine:{stem}-*"],
    }  # fmt: skip
    if service == "s3":
        return [f"arn:aws:s3:::{stem}-*"]
    # Dashboards have no region.
    everywhere = (
        [f"arn:aws:cloudwatch::{names.account}:dashboard/{stem}-*"] if service == "cloudwatch" else []
    )
    return [*everywhere, *(names.arn(service, pattern) for pattern in patterns[service])]


def _objects(cells: tuple[Names, Names]) -> list[Statement]:
    """Put plan and code, and, so that a bucket can go, delete what is in it."""
    evidence = [f"arn:aws:s3:::{names.bucket('evidence')}" for names in cells]
    stem = cells[0].stem
    return [
        allow(
            "PlanAndCode",
            ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging"],
            [f"{bucket}/{prefix}/*" for bucket in evidence for prefix in ("plan", "code")],
        ),
        allow("EmptyBuckets", ["s3:DeleteObject", "s3:DeleteObjectVersion"], f"arn:aws:s3:::{stem}-*/*"),
    ]


def _adopted(cells: tuple[Names, Names], instances: Iterable[str]) -> list[Statement]:
    """Look at what is adopted, and at its key; neither has a name or tag of ours."""
    primary = cells[0]
    arns = [primary.arn("rds", f"db:{instance}") for instance in instances]
    return (
        [
            allow("LookAtAdopted", ["rds:DescribeDBInstances", "rds:ListTagsForResource"], arns),
            allow("LookAtTheirKeys", "kms:DescribeKey", primary.arn("kms", "key/*")),
        ]
        if arns
        else []
    )


def _by_tag(cells: tuple[Names, Names]) -> list[Statement]:
    ours = cells[0].suffix
    regions = {"aws:RequestedRegion": [names.region for names in cells]}
    make, look, change = (
        sorted({f"{entry[0]}:{action}" for entry in BY_TAG.values() for action in entry[which]})
        for which in (1, 2, 3)
    )
    ec2_change = [action for action in change if action.startswith("ec2:")]
    kms_change = [action for action in change if action.startswith("kms:") and "Alias" not in action]
    tagged = {"aws:ResourceTag/EnvironmentSuffix": ours}
    within = [names.arn("ec2", "*") for names in cells]
    keys = [names.arn("kms", "key/*") for names in cells]
    aliases = [names.arn("kms", names.alias("*")) for names in cells]
    alias = [action for action in change if "Alias" in action]
    return [
        allow("Look", look, EVERYTHING, StringEquals=regions),
        allow("Make", make, EVERYTHING, StringEquals={"aws:RequestTag/EnvironmentSuffix": ours, **regions}),
        # What is made in something that is there is evaluated on that too: a subnet on its VPC.
        allow("MakeWithin", [one for one in make if one.startswith("ec2:")], within, StringEquals=tagged),
        allow("Change", ec2_change, within, StringEquals=tagged),
        allow("Tag", ["ec2:CreateTags", "ec2:DeleteTags"], within, StringEquals=tagged),
        allow(
            "TagNew",
            "ec2:CreateTags",
            within,
            StringEquals={"aws:RequestTag/EnvironmentSuffix": ours},
            Null={"ec2:CreateAction": "false"},
        ),
        allow("Keys", kms_change, keys, StringEquals=tagged),
        allow("Aliases", alias, [*aliases, *keys]),
        allow(
            "UseKeys",
            ["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            keys,
            StringEquals={**tagged, "kms:ViaService": _through(cells)},
        ),
    ]


def _through(cells: tuple[Names, Names]) -> list[str]:
    services = ("lambda", "rds", "s3", "scheduler", "states", "sns", "sqs", "events", "logs")
    return [f"{service}.{names.region}.amazonaws.com" for names in cells for service in services]


def _roles(cells: tuple[Names, Names]) -> list[Statement]:
    actions = sorted(
        {f"iam:{action}" for service, actions in ACTIONS.values() if service == "iam" for action in actions}
    )
    roles = [names.roles() for names in cells]
    passed: dict[str, Any] = {"iam:PassedToService": list(_PASSED_TO)}
    # The first database of an account brings RDS's own role with it. Source: RDS User Guide, "Using service-linked
    # roles for Amazon RDS".
    of_rds = f"arn:aws:iam::{cells[0].account}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
    return [
        allow("Roles", actions, roles),
        allow("PassRoles", "iam:PassRole", roles, StringEquals=passed),
        allow(
            "RoleOfRds",
            "iam:CreateServiceLinkedRole",
            of_rds,
            StringEquals={"iam:AWSServiceName": "rds.amazonaws.com"},
        ),
    ]


def _secrets(cells: tuple[Names, Names], secrets: Iterable[str]) -> list[Statement]:
    """Read the master user's password once, to set it."""
    arns = [cells[0].secret(secret) for secret in secrets]
    return [allow("MasterPassword", "secretsmanager:GetSecretValue", arns)] if arns else []
