"""The emulator tells policies that the lab's loopback is not TLS; AWS's endpoints are, whenever its SDKs are used.

So a policy that denies calls without TLS would deny every call in the lab.

Source: IAM User Guide, "AWS global condition context keys", `aws:SecureTransport`.
"""

from ministack import app

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds


def apply(_: Rds) -> None:
    graft(app, "pin_request_origin(source_ip, secure_transport)", _secure)


def _secure(original: Function) -> Function:
    def pin_request_origin(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001 # the emulator's own parameters
        original(source_ip, True)

    return pin_request_origin
