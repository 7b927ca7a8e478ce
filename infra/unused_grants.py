"""What policies grant and a healthy run in a lab does not use, each with the reason why it is granted all the same.

A run of the whole is held against this: every call is allowed by a policy, and every grant is used or stands here.
What an emulator's service does not do itself is not proved without AWS.
"""

# Roles that a service of AWS takes to work by itself; the lab's does the same without asking.
SERVICES = {
    "flow-logs": "VPC writes flow logs in the name of this role",
    "rds-export": "RDS looks at the bucket, writes, and clears away what a try left, in the name of this role",
    "s3-replication": "S3 replicates in the name of this role",
}

# By statement and action: AWS does these in a role's name; the lab's services have no need to.
ONLY_IN_AWS: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        [
            ("Interfaces", f"ec2:{action}")
            for action in (
                "AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface",
                "DescribeNetworkInterfaces", "DescribeSubnets", "UnassignPrivateIpAddresses",
            )
        ],
        "Lambda asks for them when it makes the network interfaces of a function in a VPC",
    ),
    **dict.fromkeys(
        [("Log", "logs:CreateLogStream"), ("Log", "logs:PutLogEvents")],
        "Lambda writes a function's log as the function's role",
    ),
    ("ReadEnvironment", "kms:Decrypt"): "Lambda reads an encrypted environment by a grant that it made when the"
    " function was; this holds if the role was made anew since, which such a grant does not outlive",
    **dict.fromkeys(
        [
            ("DeliverLogs", f"logs:{action}")
            for action in (
                "CreateLogDelivery", "DeleteLogDelivery", "DescribeLogGroups", "DescribeResourcePolicies",
                "GetLogDelivery", "ListLogDeliveries", "PutResourcePolicy", "UpdateLogDelivery",
            )
        ],
        "Step Functions looks for them when a state machine with a log is made or changed",
    ),
    **dict.fromkeys(
        [("KeepHistory", "kms:Decrypt"), ("KeepHistory", "kms:GenerateDataKey"), ("EncryptLogs", "kms:GenerateDataKey")],
        "Step Functions encrypts definition, history and log in the name of the state machine's role",
    ),
    ("ReadSchedules", "kms:Decrypt"): "the scheduler decrypts a schedule's input in the name of its role",
    **dict.fromkeys(
        [("EncryptMessages", "kms:Decrypt"), ("EncryptMessages", "kms:GenerateDataKey")],
        "SNS encrypts a message with the topic's key in the name of who publishes",
    ),
}  # fmt: skip

# Nothing of a run that goes well needs these.
ONLY_IN_NEED: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        [
            ("SetAside", "sqs:SendMessage"),
            ("EncryptWhatIsSetAside", "kms:Decrypt"),
            ("EncryptWhatIsSetAside", "kms:GenerateDataKey"),
        ],
        "the scheduler sets aside what it could not start",
    ),
    (
        "DeleteTemporary",
        "rds:DeleteDBInstance",
    ): "an expired lease is ended before another drill, and by the reaper",
    ("DeletePoints", "rds:DeleteDBSnapshot"): "points go when they are old, and copies that failed make room",
    (
        "LookAtTemporary",
        "rds:DescribeDBInstances",
    ): "an instance that is there already is adopted if it is the drill's",
    ("Sign", "kms:GetPublicKey"): "whoever signs first with a key leaves its public half with the evidence",
    ("UnlockSecret", "kms:Decrypt"): "a secret may have a key of its own; that of AWS needs nobody's leave",
    ("Start", "states:StartExecution"): "a machine starts another only when there is something to tell",
    ("Publish", "sns:Publish"): "nobody is told what is well",
}
# By role too: what others with the same statement use.
ONLY_OF: dict[tuple[str, str, str], str] = {
    ("hear", "List", "s3:ListBucket"): "S3 says that an inventory is not there yet only to who may list",
}


def why(role: str, statement: str, action: str) -> str | None:
    """Return why a grant may be left unused; None where it has no reason. `role` is without stem and region."""
    of_all = (ONLY_IN_AWS | ONLY_IN_NEED).get((statement, action))
    return SERVICES.get(role) or ONLY_OF.get((role, statement, action)) or of_all
