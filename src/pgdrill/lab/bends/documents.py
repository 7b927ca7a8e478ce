"""The emulator parses every policy of a caller anew for every call; here each text is parsed once.

No difference to AWS that a caller could see.
"""

from functools import lru_cache
from typing import Any

from ministack.core import iam_evaluator

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds


def apply(_: Rds) -> None:
    graft(iam_evaluator, "parse_policy_document(doc)", _once)


def _once(original: Function) -> Function:
    parsed = lru_cache(maxsize=1024)(original)

    def parse_policy_document(doc: Any) -> list[iam_evaluator.ParsedStatement]:
        return list(parsed(doc) if isinstance(doc, str) else original(doc))

    return parse_policy_document
