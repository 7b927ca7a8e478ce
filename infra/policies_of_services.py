"""What AWS's services may do in a cell's name: state machines, the scheduler, event rules, exports.

Plain functions on a Scope; what a service is handed is named by its caller, so that nothing is allowed in advance.
"""

from collections.abc import Iterable
from typing import Any

from policies import EVERYTHING, Document, Scope, Statement, allow, denials, document, via

NAMESPACE = "pgdrill"

WIDE = {
    "DeliverLogs": "the log delivery of Step Functions has actions of the account, none of which names a resource",
    "LookAtSchedules": "scheduler:ListSchedules knows no resource",
    "PutMetrics": "cloudwatch:PutMetricData knows no resource; its namespace is a condition",
}
# Actions by pattern, and why. All others are named one by one.
PATTERNS = dict.fromkeys(
    ("s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*"),
    "RDS requires the patterns of the role of an export, and may refuse one with less; it does not say what it uses of"
    " them. In the one bucket that they are for nothing is locked or public, and S3 leaves ACLs off",
)


def machine(scope: Scope, name: str, functions: Iterable[str], machines: Iterable[str] = ()) -> Document:
    """Let a state machine invoke its functions, in every version, and start others.

    An execution that began before a deployment goes on with the versions of its own definition.
    """
    statements = [
        allow("Invoke", "lambda:InvokeFunction", [_function(scope, function) for function in functions]),
        *_starts(scope, machines),
        *(ASKS[name](scope) if name in ASKS else []),
        *_kept(scope, name),
    ]
    if not statements[0]["Resource"]:
        del statements[0]
    return document(*statements, *denials(scope.names))


def looks(scope: Scope) -> list[Statement]:
    """Let the watch see which schedules are disabled and which secrets are gone; it reads none."""
    statements = [allow("LookAtSchedules", "scheduler:ListSchedules", EVERYTHING)]
    if scope.is_primary:
        names, entries = scope.names, sorted({*scope.secrets, *scope.masters})
        # One that is gone for good has no ARN any more, and is answered for under its name.
        arns = dict.fromkeys(arn(entry) for entry in entries for arn in (names.secret, names.missing_secret))
        statements.append(allow("LookAtSecrets", "secretsmanager:DescribeSecret", arns))
    return statements


# What a machine asks AWS itself, since no function can from its network.
ASKS = {"watch": looks}


def publish(scope: Scope, name: str, bus: str, topics: Iterable[str]) -> Document:
    """Let the one machine that tells the outside do so: metrics, events, messages."""
    return document(
        allow(
            "PutMetrics",
            "cloudwatch:PutMetricData",
            EVERYTHING,
            StringEquals={"cloudwatch:namespace": NAMESPACE},
        ),
        allow(
            "PutEvents",
            "events:PutEvents",
            bus,
            StringEquals={"events:source": source(scope)},
        ),
        *_tells(scope, topics),
        *_kept(scope, name),
        *denials(scope.names),
    )


def canary(scope: Scope, name: str, topics: Iterable[str], queue: str) -> Document:
    """Let the machine of that name send to the topics, take from the queue, and write down what arrived."""
    return document(
        *_tells(scope, topics),
        allow("Receive", ["sqs:DeleteMessage", "sqs:ReceiveMessage"], queue),
        allow("DecryptReceived", "kms:Decrypt", scope.messages_key, StringEquals=via("sqs", scope.region)),
        allow("WriteDown", "s3:PutObject", scope.objects(name)),
        allow(
            "EncryptWritten",
            "kms:GenerateDataKey",
            scope.storage_key,
            StringEquals=via("s3", scope.region),
        ),
        *_kept(scope, name),
        *denials(scope.names),
    )


def scheduler(scope: Scope, machines: Iterable[str], queue: str) -> Document:
    """Let schedules start exactly these machines, and set aside what could not be started.

    Source: EventBridge Scheduler User Guide, "Configuring a dead-letter queue" and "Encryption at rest".
    """
    return document(
        *_starts(scope, machines),
        *_sets_aside(scope, queue),
        allow(
            "ReadSchedules",
            "kms:Decrypt",
            scope.storage_key,
            StringLike={"kms:EncryptionContext:aws:scheduler:schedule:arn": schedules(scope)},
        ),
        *denials(scope.names),
    )


def starter(scope: Scope, machines: Iterable[str]) -> Document:
    """Let event rules of this region start machines of this region."""
    return document(*_starts(scope, machines), *denials(scope.names))


def forwarder(scope: Scope, bus: str) -> Document:
    """Let an event rule put events on the other region's bus: the one thing that is done there."""
    return document(
        allow("Forward", "events:PutEvents", bus), *denials(scope.names, elsewhere=("events:PutEvents",))
    )


def exporter(scope: Scope) -> Document:
    """Let RDS write exports to the archive, and use its key: the caller's grant is RDS's own, not this role's.

    Sources: RDS API reference, StartExportTask, `IamRoleArn` and `KmsKeyId`; RDS User Guide, "Providing access to an
    Amazon S3 bucket using an IAM role" and "Using a cross-account AWS KMS key".
    """
    bucket = f"arn:aws:s3:::{scope.archive}"
    return document(
        allow(
            "WriteExports",
            list(PATTERNS),
            f"{bucket}/*",
        ),
        allow("ListExports", ["s3:ListBucket", "s3:GetBucketLocation"], bucket),
        allow(
            "EncryptExports",
            [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            scope.storage_key,
        ),
        *denials(scope.names),
    )


def source(scope: Scope) -> str:
    """The source of all events of this deployment, in both regions."""
    return f"pgdrill.{scope.suffix}"


def schedules(scope: Scope) -> str:
    return scope.arn("scheduler", f"schedule/{scope.stem}/*")


def machine_arn(scope: Scope, name: str) -> str:
    return scope.arn("states", f"stateMachine:{scope.named(name)}")


def _function(scope: Scope, name: str) -> str:
    return scope.arn("lambda", f"function:{scope.named(name)}:*")


def _starts(scope: Scope, machines: Iterable[str]) -> list[Statement]:
    arns = [machine_arn(scope, name) for name in machines]
    return [allow("Start", "states:StartExecution", arns)] if arns else []


def _tells(scope: Scope, topics: Iterable[str]) -> list[Statement]:
    return [
        allow("Publish", "sns:Publish", topics),
        allow(
            "EncryptMessages",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            scope.messages_key,
            StringEquals=via("sns", scope.region),
        ),
    ]


def _sets_aside(scope: Scope, queue: str) -> list[Statement]:
    return [
        allow("SetAside", "sqs:SendMessage", queue),
        allow(
            "EncryptWhatIsSetAside",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            scope.messages_key,
            StringEquals=via("sqs", scope.region),
        ),
    ]


def _kept(scope: Scope, name: str) -> list[Statement]:
    """Let a machine keep its history and its log under the cell's key.

    Source: Step Functions Developer Guide, "Data at rest encryption in Step Functions" and "Using CloudWatch Logs
    to log execution history".
    """
    delivery = [
        *(f"logs:{verb}LogDelivery" for verb in ("Create", "Get", "Update", "Delete")),
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    ]
    own: dict[str, Any] = {
        "kms:EncryptionContext:aws:states:stateMachineArn": machine_arn(scope, name),
    }
    return [
        allow("DeliverLogs", delivery, EVERYTHING),
        allow("KeepHistory", ["kms:Decrypt", "kms:GenerateDataKey"], scope.storage_key, StringEquals=own),
        allow(
            "EncryptLogs",
            "kms:GenerateDataKey",
            scope.storage_key,
            StringLike={"kms:EncryptionContext:SourceArn": scope.arn("logs", "*")},
        ),
    ]
