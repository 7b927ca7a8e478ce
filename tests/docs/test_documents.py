"""What the documents say is so: links lead somewhere, versions agree, and plan keys are those of the plan."""

import re
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import pgdrill
from pgdrill.checks import registry
from pgdrill.plan import Plan, duration

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README_LINES = 120


def _slug(heading: str) -> str:
    """Make the anchor that a heading gets when it is shown."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _anchors(text: str) -> set[str]:
    return {_slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(document.read_text())):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in _anchors(file.read_text())):
            lost.append(target)
    assert lost == []


def test_every_path_of_this_repository_that_a_document_names_is_there() -> None:
    named = {
        path
        for document in DOCUMENTS
        for path in re.findall(r"`((?:src|tests|docs|bench|infra)/[\w./-]+)`", document.read_text())
    }
    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert "src/pgdrill/database.py" in named


def test_the_index_names_every_document() -> None:
    index = (ROOT / "docs/README.md").read_text()
    named = set(re.findall(r"\]\(([^)#\s]+)\)", index))
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} - {"README.md"}
    assert there - named == set()


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_a_decision_is_at_most_forty_lines() -> None:
    long = [path.name for path in ROOT.glob("docs/decisions/*.md") if len(path.read_text().splitlines()) > 40]
    assert long == []


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    versions = re.findall(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == pgdrill.__version__


def test_the_document_of_the_checks_is_the_one_their_docstrings_make() -> None:
    assert (ROOT / "docs/checks.md").read_text() == registry.documentation()


def test_every_document_that_an_error_names_is_there() -> None:
    named = {
        name
        for module in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"\bdocs/[\w./-]+\.(?:md|json)", module.read_text())
    }
    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert "docs/plan.md" in named


def test_a_sentence_stands_on_a_line_of_its_own() -> None:
    """So that a change shows as the sentence that changed. Tables and code are free; checks.md is docstrings."""
    packed = [
        f"{document.relative_to(ROOT)}: {line}"
        for document in DOCUMENTS
        if document.name != "checks.md"
        for line in _without_code(document.read_text()).splitlines()
        if not line.startswith("|") and re.search(r"[a-z`)]\. [A-Z][a-z]+ [a-z]", line)
    ]
    assert packed == []


# ------------------------------------------------------------------------------------------------ the plan


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models inside an annotation: a model itself, or what a tuple or union holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (tuple, list, types.UnionType):
        for argument in get_args(annotation):
            yield from _models(argument)


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        nested = list(_models(field.annotation))
        if nested:
            for inner in nested:
                yield from _keys(inner, f"{key}.")
        else:
            yield key, field


def _documented() -> dict[str, str]:
    """Return key -> default as docs/plan.md has them."""
    text = (ROOT / "docs/plan.md").read_text()
    return dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|", text, re.MULTILINE))


def test_every_key_of_the_plan_is_documented_and_no_other() -> None:
    assert set(_documented()) == {key for key, _ in _keys(Plan)}


def test_every_default_of_the_plan_is_the_documented_one() -> None:
    documented = _documented()
    wrong = {}
    for key, field in _keys(Plan):
        said = documented[key].strip("`")
        if field.is_required():
            right = said == "required"
        elif field.default in (None, ()):
            right = said == "none"
        elif isinstance(field.default, bool):
            right = said == str(field.default).lower()
        elif isinstance(field.default, str | int | float):
            right = said == str(field.default)
        else:
            right = duration(said) == field.default
        if not right:
            wrong[key] = said
    assert wrong == {}


def test_the_example_of_the_plan_is_a_plan() -> None:
    examples = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/plan.md").read_text(), re.DOTALL)
    assert len(examples) == 1
    plan = Plan.model_validate(tomllib.loads(examples[0]))
    assert plan.temporary(plan.database("shop")) == "pgdrill-prod-drill-shop"
