"""The emulator's Lambda asks no role for what it does in a function's name; AWS's does, and fails as the role may not.

A function in a VPC is made only if its role may have network interfaces, its environment is decrypted with its key
as the role, and its log is written as the role: without that right there is none.

Source: Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC", "Securing Lambda
environment variables" and "Sending Lambda function logs to CloudWatch Logs".
"""

import contextlib
import json
from http import HTTPStatus
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import lambda_svc

from pgdrill.lab.bends import roles
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

SERVICE = "lambda.amazonaws.com"
INTERFACES = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets")


def apply(_: Rds) -> None:
    graft(lambda_svc, "_create_function(data)", _in_a_network)
    graft(lambda_svc, "_delete_function(name, query_params, path_qualifier)", _out_of_it)
    graft(
        lambda_svc,
        "_emit_lambda_logs(func, request_id, log_text, error, duration_ms, log_source)",
        _logged_as_the_role,
    )
    graft(lambda_runtime.Worker, "_spawn(self)", _with_the_key)


def _in_a_network(original: Function) -> Function:
    def create_function(data: dict[str, Any]) -> Any:
        if data.get("VpcConfig", {}).get("SubnetIds"):
            arn = f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{data.get('FunctionName')}"
            for action in INTERFACES:
                try:
                    roles.check(data.get("Role", ""), SERVICE, f"ec2:{action}", "*", source=arn)
                except roles.NotAllowed:
                    lacks = f"The provided execution role does not have permissions to call {action} on EC2"
                    return error_response_json("InvalidParameterValueException", lacks, 400)
        return original(data)

    return create_function


def _out_of_it(original: Function) -> Function:
    def delete_function(name: str, query_params: dict[str, Any], path_qualifier: str | None = None) -> Any:
        config = (lambda_svc._functions.get(name) or {}).get("config", {})  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own functions do
        answer = original(name, query_params, path_qualifier)
        if answer[0] == HTTPStatus.NO_CONTENT and config.get("VpcConfig", {}).get("SubnetIds"):
            with contextlib.suppress(roles.NotAllowed):  # then its interface stays for a while
                _ask(config, "ec2:DeleteNetworkInterface", "*")
        return answer

    return delete_function


def _logged_as_the_role(original: Function) -> Function:
    def emit_lambda_logs(func: dict[str, Any], *about: Any, **more: Any) -> None:
        config = func.get("config") or func
        name = config.get("FunctionName", "")
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
        stream = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}:log-stream:{name}"
        with contextlib.suppress(roles.NotAllowed):
            for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                _ask(config, action, stream)
            original(func, *about, **more)

    return emit_lambda_logs


def _with_the_key(original: Function) -> Function:
    def spawn(self: Any) -> None:
        key = self.config.get("KMSKeyArn")
        if key and self.config.get("Environment", {}).get("Variables"):
            arn = _arn(self.config)
            try:
                _ask(self.config, "kms:Decrypt", key, {"kms:EncryptionContext:aws:lambda:FunctionArn": arn})
            except roles.NotAllowed as error:
                denied = (
                    "Lambda was unable to decrypt the environment variables because KMS access was denied."
                )
                payload = {"errorType": "KMSAccessDeniedException", "errorMessage": f"{denied} {error}"}
                raise RuntimeError(f"Worker init failed: {json.dumps(payload)}") from error
        original(self)

    return spawn


def _ask(config: dict[str, Any], action: str, resource: str, context: dict[str, str] | None = None) -> None:
    roles.check(config.get("Role", ""), SERVICE, action, resource, source=_arn(config), context=context)


def _arn(config: dict[str, Any]) -> str:
    """Return a function's ARN without its version."""
    return ":".join(config.get("FunctionArn", "").split(":")[:7])
