"""What the AWS provider's resources ask, as read in its source: what the deployer's actions are held against.

Of the types whose calls are not seen from their names: those that wait, validate or look before they make. Tags are
asked for by the provider's own interceptor. Where IAM asks for more than the call, the source is beside it.

Source: hashicorp/terraform-provider-aws, `internal/service/`, at the file named; read in November 2026.
"""

_TAGS = ("ListTagsForResource", "TagResource", "UntagResource")

# By type: the file, and the actions that its calls, with the inputs that the program gives, are evaluated as.
CALLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "aws:cloudwatch/alarmMuteRule:AlarmMuteRule": (
        "cloudwatch/alarm_mute_rule.go",
        ("DeleteAlarmMuteRule", "GetAlarmMuteRule", "PutAlarmMuteRule", *_TAGS),
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        "logs/group.go",
        ("AssociateKmsKey", "CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups", "DisassociateKmsKey",
         "PutRetentionPolicy", *_TAGS),
    ),
    "aws:iam/role:Role": (
        "iam/role.go",
        ("CreateRole", "DeleteRole", "GetRole", "ListAttachedRolePolicies", "ListInstanceProfilesForRole",
         "ListRolePolicies", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole",
         "UpdateRoleDescription"),
    ),
    "aws:lambda/function:Function": (
        "lambda/function.go",
        ("CreateFunction", "DeleteFunction", "GetFunction", "GetFunctionCodeSigningConfig",
         "GetFunctionConfiguration", "ListTags", "ListVersionsByFunction", "PublishVersion", "TagResource",
         "UntagResource", "UpdateFunctionCode", "UpdateFunctionConfiguration"),
    ),
    "aws:rds/instance:Instance": (
        "rds/instance.go",
        ("AddTagsToResource", "CreateDBInstance", "DeleteDBInstance", "DescribeDBInstances", "ListTagsForResource",
         "ModifyDBInstance", "RemoveTagsFromResource",
         # Of DeleteDBInstance with a final snapshot. Service Authorization Reference, RDS, dependent actions.
         "CreateDBSnapshot"),
    ),
    "aws:rds/parameterGroup:ParameterGroup": (
        "rds/parameter_group.go",
        ("CreateDBParameterGroup", "DeleteDBParameterGroup", "DescribeDBParameterGroups", "DescribeDBParameters",
         "ModifyDBParameterGroup", "ResetDBParameterGroup"),
    ),
    "aws:servicequotas/serviceQuota:ServiceQuota": (
        "servicequotas/service_quota.go",
        ("GetAWSDefaultServiceQuota", "GetRequestedServiceQuotaChange", "GetServiceQuota",
         "RequestServiceQuotaIncrease"),
    ),
    "aws:sfn/stateMachine:StateMachine": (
        "sfn/state_machine.go",
        ("CreateStateMachine", "DeleteStateMachine", "DescribeStateMachine", "ListStateMachineVersions",
         "UpdateStateMachine", "ValidateStateMachineDefinition", *_TAGS),
    ),
}  # fmt: skip
