"""The published JSON Schema of the plan is the one that the code has; so is the picture of the default retention."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pgdrill.cli.plan import json_schema
from pgdrill.plan import Plan
from pgdrill.planning import outlook, solver
from pgdrill.planning.obstacle import Severity
from tests.docs.test_documents import _keys as keys
from tests.unit.planning.test_solver import NOW
from tests.unit.plans import SMALL

DOCS = Path(__file__).parents[2] / "docs"
VALIDATOR = Draft202012Validator(json_schema())


def example() -> dict[str, Any]:
    """Return the example of docs/plan.md, with its moments as an editor sees them."""
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS / "plan.md").read_text(), re.DOTALL)
    plain: dict[str, Any] = json.loads(json.dumps(tomllib.loads(text), default=str))
    return plain


def test_the_published_schema_is_fresh() -> None:
    assert json.loads((DOCS / "schema" / "plan.json").read_text(encoding="utf-8")) == json_schema(), (
        "run: pgdrill plan schema > docs/schema/plan.json"
    )


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("plan", [SMALL, example()])
def test_a_plan_follows_the_schema(plan: dict[str, Any]) -> None:
    VALIDATOR.validate(json.loads(json.dumps(plan)))


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"points": {"every": "six hours"}},
        {"points": {"every": 6}},
        {"exports": {"schedule": "hourly"}},
        {"database": []},
        {"cost": {"ceiling": 0}},
        {"tags": {"Environment": "test", "Owner": "dba"}},
    ],
)
def test_what_is_no_plan_does_not_follow_it(changes: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(json.loads(json.dumps(SMALL | changes)))


def test_the_schema_has_the_defaults_that_the_plan_has() -> None:
    """A plan with every default of the schema written out is the same plan."""
    definitions = json_schema()["$defs"]
    points = {
        key: entry["default"]
        for key, entry in definitions["Points"]["properties"].items()
        if "default" in entry
    }
    assert points["keep"] == "30d"
    assert Plan.model_validate(SMALL | {"points": points}) == Plan.model_validate(SMALL)


def test_the_picture_of_the_retention_is_fresh() -> None:
    assert (DOCS / "retention.svg").read_text(encoding="utf-8") == outlook.svg(
        Plan.model_validate(example())
    ), "run: pgdrill plan explain --svg docs/retention.svg, with the example of docs/plan.md"


def test_nothing_but_the_quota_stands_in_the_way_of_the_example() -> None:
    found = solver.solve(Plan.model_validate(example()), NOW)
    assert [(o.severity, o.key) for o in found] == [
        (Severity.WARNING, "points.keep"),
        (Severity.WARNING, "copies.keep"),
        (Severity.UNKNOWN, "points.offset"),
    ]


def test_every_key_that_the_solver_names_stands_in_its_table() -> None:
    """The rules' keys, as they are written in the code."""
    source = "".join(
        (DOCS.parent / "src/pgdrill/planning" / f"{name}.py").read_text()
        for name in ("capacity", "timing", "solver")
    )
    named = set(re.findall(r'"((?:objectives|points|copies|exports|drill|notify|cost)\.\w+)"', source))
    table = (
        (DOCS / "solver.md").read_text().partition("## What the solver looks for")[2].partition("\n## ")[0]
    )
    listed = set(re.findall(r"`(\w+\.[\w*]+)`", table))
    missing = {key for key in named if key not in listed and f"{key.partition('.')[0]}.*" not in listed}
    assert missing == set()
    assert "notify.period" in named


def test_every_key_is_documented_with_what_the_schema_says_of_it() -> None:
    """So that an editor and the document say the same. The keys of [dr] mean what they do in [primary]."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", (DOCS / "plan.md").read_text())
    rows = re.findall(r"^\| `([\w.]+)` \| .+? \| (.*)\|$", text, re.MULTILINE)
    described = {key: field.description for key, field in keys(Plan)}
    wrong = {
        key: meaning.strip()
        for key, meaning in rows
        if meaning.strip() != described[key] and not (key.startswith("dr.") and not meaning.strip())
    }
    assert wrong == {}
    assert None not in described.values()
