"""What surrounds pgdrill, for the doctor: who calls and what they may do, and the groups that instances are put in.

Calls STS, IAM, EC2 and the groups of RDS; only reads. What is not there is None, as elsewhere.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.errors import Unavailable
from pgdrill.model import Model, Moment

T = TypeVar("T")

_ABSENT = frozenset({"DBSubnetGroupNotFoundFault", "DBParameterGroupNotFound", "InvalidGroup.NotFound"})


class Caller(Model):
    """Who calls. `aws_now` is AWS's own clock when it answered, in whole seconds."""

    arn: str
    account: str
    aws_now: Moment

    @property
    def principal(self) -> str | None:
        """Return the ARN that IAM knows the caller by; None for the root of an account, who may do everything."""
        if self.arn.endswith(":root"):
            return None
        kind, _, rest = self.arn.rpartition(":")[2].partition("/")
        if kind == "assumed-role":
            # A role with a path is not named whole in the session's ARN; IAM then says that there is no such role.
            return f"arn:aws:iam::{self.account}:role/{rest.partition('/')[0]}"
        return self.arn


class Network(Model):
    """The network of a DB subnet group."""

    vpc: str
    zones: tuple[str, ...]


class Surroundings:
    """`clients` makes an AWS client by its service's name."""

    def __init__(self, clients: Callable[[str], Any]) -> None:
        self._clients = clients

    def caller(self) -> Caller:
        answer = _asked("sts:GetCallerIdentity", lambda: self._clients("sts").get_caller_identity())
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        return Caller(
            arn=answer["Arn"],
            account=answer["Account"],
            aws_now=parsedate_to_datetime(date).astimezone(UTC),
        )

    def denied(
        self, principal: str, actions: Sequence[str], resource: str, tags: dict[str, str]
    ) -> list[str]:
        """Return which of the actions the principal's policies do not allow on a resource that has these tags.

        IAM reckons with the policies of the principal, its boundary and its organisation; not with those of
        endpoints, keys and buckets. Source: IAM API reference, SimulatePrincipalPolicy.
        """
        context = [
            {"ContextKeyName": f"{key}/{name}", "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key in ("aws:ResourceTag", "aws:RequestTag")
            for name, value in tags.items()
        ]
        answer = _asked(
            "iam:SimulatePrincipalPolicy",
            lambda: self._clients("iam").simulate_principal_policy(
                PolicySourceArn=principal,
                ActionNames=list(actions),
                ResourceArns=[resource],
                ContextEntries=context,
            ),
        )
        results = answer["EvaluationResults"]
        return [result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed"]

    def network(self, subnet_group: str) -> Network | None:
        answer = _asked(
            "rds:DescribeDBSubnetGroups",
            lambda: self._clients("rds").describe_db_subnet_groups(DBSubnetGroupName=subnet_group),
        )
        if answer is None:
            return None
        group = answer["DBSubnetGroups"][0]
        zones = {subnet["SubnetAvailabilityZone"]["Name"] for subnet in group["Subnets"]}
        return Network(vpc=group["VpcId"], zones=tuple(sorted(zones)))

    def security_groups(self, identifiers: Iterable[str]) -> dict[str, str] | None:
        """Return the VPC of each security group; None if one is not there."""
        answer = _asked(
            "ec2:DescribeSecurityGroups",
            lambda: self._clients("ec2").describe_security_groups(GroupIds=list(identifiers)),
        )
        if answer is None:
            return None
        return {group["GroupId"]: group["VpcId"] for group in answer["SecurityGroups"]}

    def family(self, parameter_group: str) -> str | None:
        """Return what a DB parameter group is for: `postgres15`."""
        answer = _asked(
            "rds:DescribeDBParameterGroups",
            lambda: self._clients("rds").describe_db_parameter_groups(DBParameterGroupName=parameter_group),
        )
        return str(answer["DBParameterGroups"][0]["DBParameterGroupFamily"]) if answer else None

    def settings(self, parameter_group: str) -> dict[str, str]:
        """Return the parameters that a group sets apart from RDS's own values."""
        paginator = self._clients("rds").get_paginator("describe_db_parameters")
        pages = _asked(
            "rds:DescribeDBParameters",
            lambda: list(paginator.paginate(DBParameterGroupName=parameter_group, Source="user")),
        )
        return {
            entry["ParameterName"]: entry["ParameterValue"]
            for page in pages or []
            for entry in page["Parameters"]
            if "ParameterValue" in entry
        }


def _asked(action: str, call: Callable[[], T]) -> Any:
    """Return the answer; None where what was asked about is not there.

    Raises:
        Unavailable: the caller may not ask, or the service did not answer.
    """
    try:
        return call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _ABSENT:
            return None
        if code.startswith(("AccessDenied", "UnauthorizedOperation")):
            raise Unavailable(
                f"{action} is not allowed", hint=f"allow {action} to who asks; it changes nothing"
            ) from error
        raise Unavailable(f"{action} failed: {code}", hint="the same call may pass later") from error
    except BotoCoreError as error:
        raise Unavailable(
            f"{action} failed: {type(error).__name__}",
            hint="check that the service is reachable from here: its endpoint, AWS_ENDPOINT_URL, credentials",
        ) from error
