"""Roles in a lab that enforces policies: what one may do, and clients that act as it."""

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from pgdrill.lab.lab import Lab

ACCOUNT = "000000000000"
REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError"})
Statement = dict[str, Any]


def allow(
    action: str | list[str], resource: str | list[str] = "*", **condition: Mapping[str, str | list[str]]
) -> Statement:
    statement: Statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def deny(
    action: str | list[str], resource: str | list[str] = "*", **condition: Mapping[str, str | list[str]]
) -> Statement:
    return allow(action, resource, **condition) | {"Effect": "Deny"}


class Role:
    """A role that the service named, or anybody in the account, may take."""

    def __init__(self, lab: Lab, name: str, *statements: Statement, service: str | None = None) -> None:
        self.lab = lab
        self.name = name
        principal = {"Service": service} if service else {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        trust = _policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
        made = lab.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        self.arn = str(made["Role"]["Arn"])
        self.may(*statements)

    def may(self, *statements: Statement) -> "Role":
        """Let the role do this and nothing else, but for what nobody is ever refused."""
        iam = self.lab.client("iam")
        iam.put_role_policy(
            RoleName=self.name,
            PolicyName="may",
            PolicyDocument=_policy(*statements, allow("sts:GetCallerIdentity")),
        )
        return self

    def client(self, service: str, region: str | None = None) -> Any:
        given = self.lab.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="test")["Credentials"]
        return boto3.session.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        ).client(
            service,  # type: ignore[call-overload] # the caller's choice
            region_name=region or self.lab.environment["AWS_REGION"],
            endpoint_url=self.lab.environment["AWS_ENDPOINT_URL"],
            config=Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 1}),
        )


def refusal(client: Any, action: str, **arguments: Any) -> str | None:
    """Return why policies refuse a call; None when they let it pass, whatever the service itself says to it."""
    try:
        getattr(client, action)(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in REFUSED:
            return error.response["Error"]["Message"]
    return None


def _policy(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
