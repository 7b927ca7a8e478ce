"""The published JSON Schema is the one that the code has, and it tells evidence from what is none."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pgdrill.evidence.record import canonical, schema
from tests.unit.evidence.drills import damaged, drilled, never_started

PUBLISHED = Path(__file__).parents[2] / "docs" / "schema" / "evidence-v1.json"
VALIDATOR = Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_the_published_schema_is_fresh() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == schema(), (
        "run: pgdrill evidence schema > docs/schema/evidence-v1.json"
    )


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("evidence", [drilled(), drilled(1), damaged(), never_started()])
def test_evidence_follows_the_schema(evidence: object) -> None:
    VALIDATOR.validate(json.loads(canonical(evidence)))  # type: ignore[arg-type]  # each is Evidence


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": "2"},
        {"rows": ["a row"]},
        {"verdict": "fine"},
        {"plan_sha256": "deadbeef"},
        {"number": 0},
        {"drill": "../elsewhere"},
        {"stages": {"lunch": "2026-11-22T06:05:00Z"}},
    ],
)
def test_what_is_no_evidence_does_not_follow_it(changes: dict[str, object]) -> None:
    assert not VALIDATOR.is_valid(json.loads(canonical(drilled())) | changes)


def test_every_field_of_the_schema_is_explained_in_the_documentation() -> None:
    text = (PUBLISHED.parents[1] / "evidence.md").read_text(encoding="utf-8")
    missing = [name for name in schema()["properties"] if f"`{name}`" not in text]
    assert missing == []
