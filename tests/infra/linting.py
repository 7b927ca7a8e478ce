"""The policy linter, an independent reader of policies."""

import json
import warnings

from policies import Document

with warnings.catch_warnings():
    # When it is imported it opens its data and closes none of it, and its patterns are no raw strings.
    warnings.simplefilter("ignore")
    import parliament  # type: ignore[import-untyped] # it ships no types


def findings(policy: Document) -> list[str]:
    """Return what is found, each with its kind and detail."""
    found = parliament.analyze_policy_string(json.dumps(policy)).findings
    return [f"{one.issue}: {json.dumps(one.detail, default=str)}" for one in found]
