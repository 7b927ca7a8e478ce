"""The process in which the Pulumi program runs: `python -m pgdrill.lab.deploy.program`, told on standard input what to do.

A process of its own, since Pulumi keeps its runtime in globals and asks for an event loop. It answers with lines of
JSON on standard output: what it is doing, and at last what came of it.
"""

import gc
import hashlib
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_root_resource
from pulumi.runtime.sync_await import _sync_await

from pgdrill.errors import Broken, DrillError, NotRunnable
from pgdrill.lab.deploy import entries, invokes
from pgdrill.lab.deploy.aws import clients
from pgdrill.lab.deploy.deployment import Deployment
from pgdrill.lab.deploy.materializer import Materializer, Registration
from pgdrill.model import JSON

PROJECT = "pgdrill"
STACK = "lab"
_STACK_TYPE = "pulumi:pulumi:Stack"
# Options that change what becomes of a resource, and that the lab does not serve: the engine's name and the program's.
UNSERVED = {
    "aliases": "aliases",
    "aliasURNs": "aliases",
    "deletedWith": "deleted_with",
    "hooks": "hooks",
    "importId": "import_",
    "replacement_trigger": "replacement_trigger",
    "replaceOnChanges": "replace_on_changes",
    "replace_with": "replace_with",
    "transforms": "transforms",
}


class Monitor(mocks.MockMonitor):
    """Pulumi's own mock of its engine, with what resources are registered with: their options as well."""

    def __init__(self, materializer: Materializer, invoke: Callable[[str, JSON], JSON]) -> None:
        super().__init__(_Invokes(invoke))
        self._materializer = materializer

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN that Pulumi's engine gives: with the types of all parents, where its mock keeps the last."""
        within = parent.split("::")[2] if parent else _STACK_TYPE
        qualified = type_ if within == _STACK_TYPE else f"{within}${type_}"
        return f"urn:pulumi:{STACK}::{PROJECT}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 # Pulumi's name
        self._refuse_unserved(request)
        urn = self.make_urn(request.parent, request.type, request.name)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        given = rpc.deserialize_properties(request.object)
        secret = {name for name, value in given.items() if rpc.is_rpc_secret(value)}
        secret |= set(request.additionalSecretOutputs) & given.keys()
        inputs = {name: self._plain(value) for name, value in given.items()}
        made = self._materializer.register(
            Registration(
                urn=urn,
                type=request.type,
                name=request.name,
                inputs=inputs,
                withheld=tuple(sorted(secret | {name for name in inputs if name.endswith("Wo")})),
                protect=request.protect,
                retain=request.retainOnDelete,
                ignored=tuple(request.ignoreChanges),
                delete_first=request.deleteBeforeReplace,
            )
        )
        self.resources[urn] = mocks.MockMonitor.ResourceRegistration(urn, made.id, made.outputs)
        state = {name: value for name, value in made.outputs.items() if value is not None}
        serialized = _sync_await(rpc.serialize_properties(state, {}))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=made.id, object=serialized)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 # Pulumi's name
        raise NotRunnable(
            f"the lab does not read a resource of type {request.type} ({request.name!r})",
            hint="look it up with one of the get_* functions that src/pgdrill/lab/deploy/invokes.py answers",
        )

    def _refuse_unserved(self, request: Any) -> None:
        for field, option in UNSERVED.items():
            if _given(field, getattr(request, field)):
                error = NotRunnable(
                    f"the lab does not serve the option {option!r} of {request.type} ({request.name!r})",
                    hint="leave it out, or serve it in src/pgdrill/lab/deploy",
                )
                self._materializer.stop(error)
                raise error

    def _plain(self, value: JSON) -> JSON:
        """Return a value without marks of secrecy, and a file as the digest of its content."""
        value = rpc.unwrap_rpc_secret(value)
        if isinstance(value, pulumi.Asset | pulumi.Archive):
            return self._asset(value)
        if isinstance(value, dict):
            return {name: self._plain(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._plain(inner) for inner in value]
        return value

    def _asset(self, asset: pulumi.Asset | pulumi.Archive) -> JSON:
        if isinstance(asset, pulumi.StringAsset):
            content = asset.text.encode()
            digest = hashlib.sha256(content).hexdigest()
            self._materializer.assets[digest] = lambda: content
        elif isinstance(asset, pulumi.FileAsset | pulumi.FileArchive) and Path(asset.path).is_file():
            path = Path(asset.path)
            digest = _digest(path)
            self._materializer.assets[digest] = path.read_bytes
        else:
            raise NotRunnable(
                f"the lab cannot take a {type(asset).__name__} for a file",
                hint="use a FileAsset or FileArchive of one file that is there",
            )
        return {"sha256": digest}


def _given(field: str, value: Any) -> bool:
    """Tell whether an option is used; pulumi-aws itself gives types' older names as aliases."""
    if field == "aliases":
        return any(
            one.urn or any(told for about, told in one.spec.ListFields() if about.name != "type")
            for one in value
        )
    return bool(value.ByteSize() if hasattr(value, "ByteSize") else value)


class _Invokes(mocks.Mocks):
    def __init__(self, invoke: Callable[[str, JSON], JSON]) -> None:
        self._invoke = invoke

    def call(self, args: mocks.MockCallArgs) -> Any:
        return self._invoke(args.token, args.args)

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise TypeError(f"{args.typ} was not registered with the monitor")


_digests: dict[tuple[str, int, int], str] = {}


def _digest(path: Path) -> str:
    """Return a file's SHA-256, read once however many functions it is the code of."""
    status = path.stat()
    key = str(path), status.st_mtime_ns, status.st_size
    if key not in _digests:
        with path.open("rb") as file:
            _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[key]


def run(program: Path, config: dict[str, str], materializer: Materializer, invoke: Any) -> dict[str, Any]:
    """Run a Pulumi program and return what it exports.

    Raises:
        DrillError: a resource cannot be made, or the program itself says so.
    """
    os.chdir(program.parent)
    sys.path.insert(0, str(program.parent))
    mocks.set_mocks(
        mocks=_Invokes(invoke),
        project=PROJECT,
        stack=STACK,
        preview=False,
        monitor=Monitor(materializer, invoke),
    )
    pulumi.runtime.set_all_config(config)
    exported: dict[str, Any] = {}

    def play() -> pulumi.Output[Any]:
        runpy.run_path(str(program), run_name="__main__")
        root = get_root_resource()
        outputs = dict(getattr(root, "outputs", {}))
        return pulumi.Output.from_input(outputs).apply(exported.update)

    try:
        pulumi.runtime.test(play)()  # type: ignore[no-untyped-call] # Pulumi has no types there
    except Exception as error:
        first = materializer.error
        materializer.stop(Broken("the program ended", hint="see what it raised"))
        if first is not None:
            raise first from error
        raise
    finally:
        materializer.settle()
    return exported


def main() -> int:
    gc.disable()  # the process is short, and looking for cycles was a quarter of its work
    asked = json.load(sys.stdin)
    answers = sys.stdout
    directory = Path(asked["directory"])

    def tell(told: str, **what: JSON) -> None:
        answers.write(json.dumps({"told": told, **what}) + "\n")
        answers.flush()

    made = clients(asked["endpoint"])
    materializer = Materializer(
        entries=entries.BY_TYPE,
        clients=made,
        home=asked["region"],
        before=Deployment.read(directory),
        progress=lambda what, name: tell("progress", what=what, name=name),
    )
    interrupted = NotRunnable("interrupted", hint="do it again; what is there is known")
    signal.signal(signal.SIGINT, lambda *_: materializer.interrupt(interrupted))
    try:
        with redirect_stdout(sys.stderr):
            outcome = _carry_out(asked, materializer, directory)
        tell("done", counts=vars(materializer.counts), **outcome)
    except DrillError as error:
        tell("error", kind=type(error).__name__, message=error.message, hint=error.hint)
        return 1
    except Exception as error:  # noqa: BLE001 # whatever a program raises is told to who began it
        tell("error", kind="program", message=_words(error), hint=_place(error, asked.get("program") or ""))
        traceback.print_exc(file=sys.stderr)
        return 1
    return 0


def _carry_out(asked: JSON, materializer: Materializer, directory: Path) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    try:
        if asked["program"] is None:
            materializer.destroy()
        else:
            answer = invokes.Answers(materializer.clients, asked["region"])
            outputs = run(Path(asked["program"]), asked["config"], materializer, answer)
            materializer.prune()
    finally:
        resources = materializer.deployed()
        Deployment(resources=resources, outputs=outputs).write(directory)
    return {"outputs": outputs, "resources": len(resources)}


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _place(error: Exception, program: str) -> str:
    """Return where in the program it was raised."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if program and Path(program).parent.name in frame.filename
    ]
    return f"see {frames[-1].filename}, line {frames[-1].lineno}" if frames else "read the traceback above"


if __name__ == "__main__":
    sys.exit(main())
