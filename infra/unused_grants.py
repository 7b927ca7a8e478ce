"""What policies grant and a healthy run in a lab does not use, each with the reason why it is granted all the same.

A run of the whole is held against this: every call is allowed by a policy, and every grant is used or stands here.
What an emulator's service does not do itself is not proved without AWS.
"""

from policies_of_points import ENCRYPTS_ANEW

# Roles that a service of AWS takes to work by itself; the lab's does the same without asking for all of it.
SERVICES = {
    "flow-logs": "VPC writes flow logs in the name of this role",
    "rds-export": "RDS looks at the bucket, writes, and clears away what a try left, in the name of this role",
}

# By statement and action: AWS does these in a role's name; the lab's services have no need to.
ONLY_IN_AWS: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        [("Interfaces", "ec2:AssignPrivateIpAddresses"), ("Interfaces", "ec2:UnassignPrivateIpAddresses")],
        "Lambda may give a network interface of a function further addresses",
    ),
    ("Interfaces", "ec2:DeleteNetworkInterface"): "Lambda removes the interfaces when the last function goes",
    ("DeliverLogs", "logs:DeleteLogDelivery"): "Step Functions ends the delivery when a state machine goes",
    ("DeliverLogs", "logs:UpdateLogDelivery"): "Step Functions looks for it when a state machine is changed",
}  # fmt: skip

# By role, statement and action: nothing of a run that goes well needs these.
ONLY_IN_NEED: dict[tuple[str, str, str], str] = {
    **dict.fromkeys(
        [
            ("scheduler", "SetAside", "sqs:SendMessage"),
            ("scheduler", "EncryptWhatIsSetAside", "kms:Decrypt"),
            ("scheduler", "EncryptWhatIsSetAside", "kms:GenerateDataKey"),
        ],
        "the scheduler sets aside what it could not start",
    ),
    **dict.fromkeys(
        [(role, "DeleteTemporary", "rds:DeleteDBInstance") for role in ("choose", "reap")],
        "an expired lease is ended before another drill, and by the reaper",
    ),
    **dict.fromkeys(
        [(role, "DeletePoints", "rds:DeleteDBSnapshot") for role in ("retain", "copy")],
        "points go when they are old, and copies that failed make room",
    ),
    (
        "restore",
        "LookAtTemporary",
        "rds:DescribeDBInstances",
    ): "an instance that is there already is adopted if it is the drill's",
    (
        "destroy",
        "Sign",
        "kms:GetPublicKey",
    ): "whoever signs first with a key leaves its public half with the evidence",
    **dict.fromkeys(
        [(role, "UnlockSecret", "kms:Decrypt") for role in ("beat", "seal")],
        "a secret may have a key of its own; that of AWS needs nobody's leave",
    ),
    **dict.fromkeys(
        [(f"{machine}-machine", "Start", "states:StartExecution") for machine in ("beat", "seal", "reap")],
        "a machine starts another only when there is something to tell",
    ),
    **dict.fromkeys(
        [("copy", "LetRdsEncryptAnew", action) for action in ENCRYPTS_ANEW],
        "RDS is documented to copy with grants alone; callers without these have been refused",
    ),
    ("hear", "List", "s3:ListBucket"): "S3 says that an inventory is not there yet only to who may list",
    (
        "s3-replication",
        "Encrypt",
        "kms:GenerateDataKey",
    ): "S3 makes a new key of the other bucket's, now and then; the lab's has none",
}
# The same, of what is granted only where evidence is locked: protect.
WHERE_LOCKED: dict[tuple[str, str, str], str] = dict.fromkeys(
    [("s3-replication", "Read", f"s3:GetObject{lock}") for lock in ("Retention", "LegalHold")],
    "S3 carries the lock of an object with it, where objects are locked: protect",
)


def why(role: str, statement: str, action: str) -> str | None:
    """Return why a grant may be left unused; None where it has no reason. `role` is without stem and region."""
    of_one = (ONLY_IN_NEED | WHERE_LOCKED).get((role, statement, action))
    return SERVICES.get(role) or of_one or ONLY_IN_AWS.get((statement, action))
