"""The emulator reports whatever a Python handler raises as `Runtime.HandlerError`; AWS names the exception's class.

Retry and Catch of a state machine match that name. The payload is AWS's as well: `errorMessage`, `errorType`,
`requestId`, `stackTrace`; what the runtime itself finds wrong has its own names. And a worker whose handler raised
stays, as AWS's does, where the emulator ends it.

Source: aws-lambda-python-runtime-interface-client, awslambdaric/bootstrap.py (make_error, _get_handler,
handle_event_request); Lambda Developer Guide, "Troubleshoot execution issues in Lambda".
"""

import json
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from pgdrill.lab.bends.graft import Function, amend, graft
from pgdrill.lab.rds.service import Rds

_WORKER = "_PYTHON_WORKER_SCRIPT"
_INIT_FAILED = "Worker init failed: "

_OLD_LOAD = r"""
    except Exception as e:
        _real_stdout.write(json.dumps({"status": "error", "error": str(e)}) + "\n")
"""
_LOAD = r"""
    except Exception as e:
        kind, message = type(e).__name__, str(e)
        if isinstance(e, ImportError):
            kind, message = "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {e}"
        elif isinstance(e, SyntaxError):
            kind, message = "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {e}"
        elif isinstance(e, AttributeError) and e.obj is sys.modules.get(module_name):
            kind = "Runtime.HandlerNotFound"
            message = f"Handler '{handler_name}' missing on module '{module_name}'"
        failure = json.dumps({"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": []})
        _real_stdout.write(json.dumps({"status": "error", "error": failure}) + "\n")
"""
_OLD_CALL = r"""
            result = handler_fn(event, context)
            _real_stdout.write(json.dumps({"status": "ok", "result": result}) + "\n")
        except Exception as e:
            _real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\n")
"""
_CALL = r"""
            marshalling = False
            result = handler_fn(event, context)
            marshalling = True
            _real_stdout.write(json.dumps({"status": "ok", "result": result}) + "\n")
        except Exception as e:
            frames = traceback.format_list(traceback.extract_tb(e.__traceback__)[1:])
            failure = {
                "errorMessage": f"Unable to marshal response: {e}" if marshalling else str(e),
                "errorType": "Runtime.MarshalError" if marshalling else type(e).__name__,
                "requestId": _ms_ctx.get("request_id", ""),
                "stackTrace": [frame.replace(code_dir, "/var/task") for frame in frames],
            }
            _real_stdout.write(json.dumps({"status": "ok", "failure": failure, "trace": traceback.format_exc()}) + "\n")
"""


# Set on a worker that is ended because it used more memory than its function has.
OVER_MEMORY = "pgdrill_over_memory"


class _Raised(str):
    """A handler's error message that carries the whole payload past the function that would make another."""

    __slots__ = ("payload",)
    payload: dict[str, Any]


def apply(_: Rds) -> None:
    amend(lambda_runtime, _WORKER, _OLD_LOAD, _LOAD)
    amend(lambda_runtime, _WORKER, _OLD_CALL, _CALL)
    graft(
        lambda_runtime.Worker,
        "invoke(self, event, request_id, trace_id, depth, durable, invoked_function_arn)",
        _carrying,
    )
    graft(lambda_svc, "_execute_function_warm(func, event, request_id)", _as_the_runtime_says)


def _carrying(original: Function) -> Function:
    def invoke(self: Any, event: Any, request_id: str, **about: Any) -> Any:
        response = original(self, event, request_id, **about)
        failure = response.get("failure")
        if self.__dict__.pop(OVER_MEMORY, False):
            killed = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            failure = {"errorType": "Runtime.ExitError", "errorMessage": killed}
        if failure:
            raised = _Raised(failure["errorMessage"])
            raised.payload = failure
            response |= {"status": "error", "error": raised}
        return response

    return invoke


def _as_the_runtime_says(original: Function) -> Function:
    def execute(func: Any, event: Any, request_id: str) -> Any:
        result = original(func, event, request_id)
        if result.get("error"):
            result["body"] = _payload(result["body"], request_id)
        return result

    return execute


def _payload(body: dict[str, Any], request_id: str) -> dict[str, Any]:
    message = body["errorMessage"]
    if isinstance(message, _Raised):
        return message.payload
    if message.startswith(_INIT_FAILED):
        return dict(json.loads(message.removeprefix(_INIT_FAILED)))
    if message.startswith(("Worker process died", "Worker process exited immediately")):
        died = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
        return {"errorType": "Runtime.ExitError", "errorMessage": died}
    if body["errorType"] == "Sandbox.Timedout":
        return body | {"errorMessage": f"RequestId: {request_id} Error: {message}"}
    return body
