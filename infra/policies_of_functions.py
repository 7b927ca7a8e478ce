"""The one policy of each function of a cell, by ARN, tag and condition: what it is for, and what it needs to run.

What each is for stands in `policies_of_points` and `policies_of_drills`. Plain functions on a Scope.
"""

from collections.abc import Callable

import policies_of_drills as drills
import policies_of_points as points
from functions import FUNCTIONS, Function
from policies import EVERYTHING, Document, Scope, Statement, allow, denials, deny, document

# Statements that cannot name a resource, each with the reason.
WIDE = {
    "Interfaces": "Lambda makes the network interfaces of a function before they have a name; a function's own code"
    " is denied all of them",
    "LookAtQuotas": "rds:DescribeAccountAttributes knows no resource",
    "LookAtBackups": "rds:DescribeDBInstanceAutomatedBackups is asked by an instance's name, and evaluated on no"
    " resource",
    "LookAtExports": "rds:DescribeExportTasks lists the tasks of an account, which have no ARN",
}
STATEMENTS: dict[str, Callable[[Scope], list[Statement]]] = {
    made.__name__: made
    for made in (
        points.beat, points.seal, points.take, points.retain, points.copy, points.export, points.watch, points.hear,
        drills.choose, drills.restore, drills.observe, drills.unlock, drills.examine, drills.judge, drills.destroy,
        drills.reap, drills.confront,
    )
}  # fmt: skip
# What a function does in the other region: RDS asks there for a copy's source, and for its key, in the role's name.
# Source: RDS User Guide, "Requesting a cross-Region DB snapshot copy".
ELSEWHERE = {"copy": ("kms:CreateGrant", "kms:DescribeKey", "rds:CopyDBSnapshot", *points.ENCRYPTS_ANEW)}


def policy(scope: Scope, function: Function) -> Document:
    """Return the one policy of a function's role."""
    return document(
        *STATEMENTS[function.name](scope),
        *runs(scope, function),
        *denials(
            scope.names,
            elsewhere=ELSEWHERE.get(function.name, ()),
            passes_roles=function.name == "export",
        ),
    )


def policies(scope: Scope) -> dict[str, Document]:
    """Return the policies of all functions of a cell, by the function's name."""
    return {
        function.name: policy(scope, function)
        for function in FUNCTIONS
        if function.runs_in(primary=scope.is_primary)
    }


def runs(scope: Scope, function: Function) -> tuple[Statement, ...]:
    """Return what a function needs to run in a VPC and to tell what it did, and to know its plan.

    Source: Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC".
    """
    name = scope.named(function.name)
    interfaces = [
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    ]
    arn = scope.arn("lambda", f"function:{name}")
    log = scope.arn("logs", f"log-group:/aws/lambda/{name}:*")
    return (
        allow("Interfaces", interfaces, EVERYTHING),
        deny(
            "InterfacesAreLambdas",
            [*interfaces, "ec2:DetachNetworkInterface"],
            EVERYTHING,
            ArnEquals={"lambda:SourceFunctionArn": arn},
        ),
        allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], log),
        allow(
            "ReadEnvironment",
            "kms:Decrypt",
            scope.storage_key,
            StringEquals={"kms:EncryptionContext:aws:lambda:FunctionArn": arn},
        ),
    )
