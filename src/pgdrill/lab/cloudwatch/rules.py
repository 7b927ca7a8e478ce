"""The rule of a composite alarm: parsed, and held against the states of the alarms that it names. Pure.

Source: CloudWatch API reference, PutCompositeAlarm, `AlarmRule`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pgdrill.lab.cloudwatch.evaluation import State

StateOf = Callable[[str], State | None]
_TOKEN = re.compile(r'\s*(?:([()])|"((?:[^"\\]|\\.)*)"|([^\s()"]+))')


class Malformed(ValueError):
    """Not an alarm rule."""


@dataclass(frozen=True)
class Rule:
    """`holds` says whether the rule is true of the states of the alarms; `names` are those it asks for, in order."""

    holds: Callable[[StateOf], bool]
    names: tuple[str, ...] = ()


def parse(text: str) -> Rule:
    """Return the rule that a text is. OR binds weakest, NOT strongest.

    Raises:
        Malformed: it is none.
    """
    parser = _Parser(_tokens(text))
    rule = parser.either()
    parser.take("")
    return rule


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Malformed(f"{text[at:]!r} is not closed")
        mark, quoted, word = found.groups()
        tokens.append(mark or word or '"' + re.sub(r"\\(.)", r"\1", quoted))
        at = found.end()
    return [*tokens, ""]


@dataclass
class _Parser:
    tokens: list[str]
    at: int = field(default=0)

    def take(self, expected: str) -> None:
        if self.tokens[self.at] != expected:
            raise Malformed(
                f"{self.tokens[self.at] or 'the end'!r} where {expected or 'the end'!r} should be"
            )
        self.at += 1

    def either(self) -> Rule:
        return self._joined("OR", any, self.both)

    def both(self) -> Rule:
        return self._joined("AND", all, self.one)

    def _joined(self, word: str, join: Callable[..., bool], part: Callable[[], Rule]) -> Rule:
        parts = [part()]
        while self.tokens[self.at] == word:
            self.at += 1
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        return Rule(
            lambda state: join(each.holds(state) for each in parts), sum((each.names for each in parts), ())
        )

    def one(self) -> Rule:
        word = self.tokens[self.at]
        self.at += 1
        if word == "NOT":
            rule = self.one()
            return Rule(lambda state: not rule.holds(state), rule.names)
        if word == "(":
            rule = self.either()
            self.take(")")
            return rule
        if word in {"TRUE", "FALSE"}:
            return Rule(lambda _: word == "TRUE")
        if word in set(State):
            self.take("(")
            name = self._name()
            self.take(")")
            return Rule(lambda state: state(name) == word, (name,))
        raise Malformed(f"{word or 'the end'!r} where a condition should be")

    def _name(self) -> str:
        token = self.tokens[self.at]
        if token in {"", "(", ")"}:
            raise Malformed(f"{token or 'the end'!r} where an alarm's name should be")
        self.at += 1
        name = token.removeprefix('"')
        return name.split(":", 6)[6] if name.startswith("arn:") else name
