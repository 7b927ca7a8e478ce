"""Deploys the Pulumi program into a running lab, and destroys what was deployed. From outside, as `pulumi` would.

Writes in the lab's own directory alone. Secrets of production are made before, since a stack makes none.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from pgdrill import errors
from pgdrill.errors import Broken, DrillError, NotRunnable
from pgdrill.lab import bytecode
from pgdrill.lab.deploy.deployment import FILE, OUTPUTS, PLAN
from pgdrill.lab.lab import Lab
from pgdrill.ledger import ROLE
from pgdrill.model import JSON

PROGRAM = Path(__file__).parents[4] / "infra" / "__main__.py"
SUFFIX = "main"
MASTER = "master"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a deployment did: how many resources were created, kept, updated, replaced and deleted, and its outputs."""

    counts: dict[str, int]
    resources: int
    outputs: dict[str, Any]


def settings() -> dict[str, Any]:
    """Return what the lab deploys unless told: one database, made by the stack."""
    return {
        "stack": {"suffix": SUFFIX},
        "tags": {"Environment": "lab", "Owner": "you", "CostCenter": "none"},
        "database": [
            {
                "name": "shop",
                "origin": "created",
                "secret": "shop/pgdrill",
                "master_secret": "shop/master",
            }
        ],
    }


def deploy(
    lab: Lab,
    given: dict[str, Any] | None = None,
    *,
    program: Path = PROGRAM,
    stack: str | None = None,
    progress: Progress = lambda _: None,
) -> Outcome:
    """Run the program against the lab; what is there already is kept, changed or replaced.

    `given` are the program's settings, `pgdrill:plan`. A `stack` is a deployment of its own beside the lab's.

    Raises:
        NotRunnable: no lab runs, or the program is not there or asks for what the lab does not know.
        PlanError: the settings are wrong.
        Broken: the emulator refused, or the program failed.
    """
    if not program.is_file():
        raise NotRunnable(
            f"no Pulumi program at {str(program)!r}",
            hint="run this from a checkout, or name one with --program",
        )
    if find_spec("pulumi_aws") is None:
        raise NotRunnable("deploying needs pulumi-aws, not installed here", hint="pip install 'pgdrill[lab]'")
    plan = settings() if given is None else given
    plan = {"platform": "host", "ca_bundle": lab.environment["PGSSLROOTCERT"]} | plan
    make_secrets(lab, plan)
    place = directory(lab, stack)
    asked = {"program": str(program), "config": {"pgdrill:plan": json.dumps(plan)}}
    done = _run(lab, place, asked, progress)
    outcome = Outcome(done["counts"], done["resources"], done["outputs"])
    _write_outputs(place, outcome.outputs)
    return outcome


def destroy(lab: Lab, *, stack: str | None = None, progress: Progress = lambda _: None) -> Outcome:
    """Delete everything that was deployed, the last made first. Secrets of production stay.

    Raises:
        NotRunnable: no lab runs, no such stack was ever deployed, or something is protected or in the way.
        Broken: the emulator refused.
    """
    place = directory(lab, stack)
    if stack and not (place / FILE).exists():
        known = ", ".join(sorted(found.parent.name for found in lab.directory.glob(f"stacks/*/{FILE}")))
        raise NotRunnable(
            f"no stack {stack!r} was ever deployed in {str(lab.directory)!r}",
            hint=f"those that were: {known}" if known else "without --stack it is the lab's own deployment",
        )
    done = _run(lab, place, {"program": None}, progress)
    for path in (OUTPUTS, Path(PLAN)):
        (place / path).unlink(missing_ok=True)
    return Outcome(done["counts"], done["resources"], {})


def directory(lab: Lab, stack: str | None) -> Path:
    """Return where a deployment is written down."""
    return lab.directory / "stacks" / stack if stack else lab.directory


def make_secrets(lab: Lab, plan: dict[str, Any]) -> None:
    """Make the entries that the settings name, unless they are there: production's, which a stack only reads.

    The master user's is in both regions, as Secrets Manager replicates it.
    """
    record = lab.running()
    regions: tuple[str, ...] = record.regions if record else ()
    for database in plan.get("database", ()):
        for name, user, places in (
            (database.get("secret"), ROLE, regions[:1]),
            (database.get("master_secret"), MASTER, regions),
        ):
            if name:
                _secret(lab, name, user, places)


def _secret(lab: Lab, name: str, user: str, regions: tuple[str, ...]) -> None:
    text = json.dumps({"username": user, "password": secrets.token_urlsafe(24)})
    for region in regions:
        client = lab.client("secretsmanager", region)
        try:
            client.create_secret(Name=name, SecretString=text)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceExistsException":
                raise
            text = client.get_secret_value(SecretId=name)["SecretString"]


def _run(lab: Lab, place: Path, asked: dict[str, Any], progress: Progress) -> JSON:
    """Let the program's own process carry something out; return what it tells at the end."""
    environment = lab.environment
    place.mkdir(parents=True, exist_ok=True)
    asked |= {
        "directory": str(place),
        "endpoint": environment["AWS_ENDPOINT_URL"],
        "region": environment["AWS_REGION"],
    }
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))
    }
    log = place / "deploy.log"
    with (
        log.open("w", encoding="utf-8") as errors_file,
        subprocess.Popen(
            [sys.executable, "-m", "pgdrill.lab.deploy.program"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors_file,
            env=bytecode.kept(inherited) | environment | {"PGDRILL_DIST": str(place / "dist")},
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which then ends that one in good order
        ) as process,
    ):
        if process.stdin is None:
            raise TypeError("a process with pipes has both")
        process.stdin.write(json.dumps(asked))
        process.stdin.close()
        try:
            last = _heard(process, progress)
        except (KeyboardInterrupt, SystemExit):
            _let_end(process, progress)
            raise
    return _told(last, log)


def _heard(process: "subprocess.Popen[str]", progress: Progress) -> JSON:
    """Tell what the process does until it ends; return the last that it told."""
    last: JSON = {}
    for line in process.stdout or ():
        last = json.loads(line)
        if last["told"] == "progress":
            progress(f"{last['what']} {last['name']}")
    return last


def _let_end(process: "subprocess.Popen[str]", progress: Progress) -> None:
    """Have the process finish what is under way, begin nothing more, and write down what is there."""
    process.send_signal(signal.SIGINT)
    try:
        _heard(process, progress)
    finally:
        process.kill()  # it has ended, or whoever waits has lost patience


def _told(last: JSON, log: Path) -> JSON:
    if last.get("told") == "done":
        return last
    if last.get("told") != "error":
        raise Broken("the program's process ended without a word", hint=f"read {str(log)!r}")
    kind = getattr(errors, last["kind"], None)
    if isinstance(kind, type) and issubclass(kind, DrillError):
        raise kind(last["message"], hint=last["hint"])
    raise Broken(
        f"the Pulumi program failed: {last['message']}", hint=f"{last['hint']}; all of it is in {str(log)!r}"
    )


def _write_outputs(directory: Path, outputs: dict[str, Any]) -> None:
    flat = directory / OUTPUTS
    flat.parent.mkdir(exist_ok=True)
    flat.write_text(json.dumps(outputs, indent=2, sort_keys=True), encoding="utf-8")
    if "plan" in outputs:
        (directory / PLAN).write_text(outputs["plan"], encoding="utf-8")
