"""Metric math, as far as alarms on gaps and ratios need it: over vectors of one value a period. Pure.

Takes + - * /, comparisons, AND, OR, numbers, ids, lists of them, METRICS(), FILL, IF, SUM, AVG, MIN, MAX, ABS, CEIL
and FLOOR. The functions that make one of several take lists, not a single time series over time.

Source: CloudWatch User Guide, "Using math expressions with CloudWatch metrics".
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence

from pgdrill.lab.cloudwatch.metrics import Unknown, Vector

# A number, one time series, or several.
Value = float | Vector | tuple[Vector, ...]
Number = Callable[..., float]

_BINARY: dict[type[ast.operator], Number] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Number] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_OF_ONE: dict[str, Number] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_OF_SEVERAL: dict[str, Callable[[list[float]], float]] = {
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
    "MIN": min,
    "MAX": max,
}


def parse(text: str) -> ast.expr:
    """Return an expression as a tree.

    Raises:
        Unknown: it is none, or none that the lab takes.
    """
    python = re.sub(r"\bAND\b|&&", " and ", re.sub(r"\bOR\b|\|\|", " or ", text))
    try:
        return ast.parse(python.strip(), mode="eval").body
    except SyntaxError as error:
        raise Unknown(f"the lab does not understand the expression {text!r}") from error


def names(tree: ast.expr) -> set[str]:
    """Return the ids that an expression needs; METRICS() is not among them."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in called and node.id != "REPEAT"
    }


def evaluate(tree: ast.expr, given: Mapping[str, Vector], metrics: Sequence[Vector], count: int) -> Vector:
    """Return the value of an expression in each of `count` periods. `given` is by id, `metrics` what METRICS() is.

    Raises:
        Unknown: something in it is not of the lab's metric math.
    """
    return _Expression(given, metrics, count).series(tree)


class _Expression:
    def __init__(self, given: Mapping[str, Vector], metrics: Sequence[Vector], count: int) -> None:
        self._given = given
        self._metrics = metrics
        self._count = count

    def series(self, node: ast.expr) -> Vector:
        return self._as_series(self.value(node), node)

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self._given:
                return self._given[name]
            case ast.List(elts=elements):
                return tuple(self.series(element) for element in elements)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, arguments)
        return self._calculated(node)

    def _calculated(self, node: ast.expr) -> Vector:
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._each(operator.neg, operand)
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
                return self._each(_BINARY[type(sign)], left, right)
            case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _COMPARISONS:
                return self._each(_COMPARISONS[type(sign)], left, right)
            case ast.BoolOp(op=sign, values=values):
                every = all if isinstance(sign, ast.And) else any
                return self._each(lambda *numbers: every(numbers), *values)
        raise Unknown(f"the lab's metric math does not take {ast.unparse(node)}")

    def _call(self, name: str, arguments: list[ast.expr]) -> Value:
        match name, arguments:
            case "METRICS", []:
                return tuple(self._metrics)
            case "FILL", [filled, by]:
                value = self.value(filled)
                if isinstance(value, tuple):
                    return tuple(self._filled(one, by) for one in value)
                return self._filled(self._as_series(value, filled), by)
            case "IF", [condition, then, otherwise]:
                return self._each(lambda a, b, c: b if a else c, condition, then, otherwise)
            case _, [argument] if name in _OF_ONE:
                return self._each(_OF_ONE[name], argument)
            case _, [argument] if name in _OF_SEVERAL:
                return self._of_several(_OF_SEVERAL[name], argument)
        raise Unknown(f"the lab's metric math has no {name} of {len(arguments)} arguments")

    def _filled(self, series: Vector, by: ast.expr) -> Vector:
        if isinstance(by, ast.Name) and by.id == "REPEAT":
            last: float | None = None
            return [last := last if one is None else one for one in series]
        return [fill if one is None else one for one, fill in zip(series, self.series(by), strict=True)]

    def _of_several(self, several: Callable[[list[float]], float], argument: ast.expr) -> Vector:
        value = self.value(argument)
        if not isinstance(value, tuple):
            raise Unknown(f"the lab's metric math takes lists, not the single series {ast.unparse(argument)}")
        periods = [[number for number in period if number is not None] for period in zip(*value, strict=True)]
        return [several(numbers) if numbers else None for numbers in periods]

    def _each(self, function: Number, *nodes: ast.expr) -> Vector:
        """Apply a function period by period; where one value is missing, or is divided by 0, so is the result."""
        result: Vector = []
        for numbers in zip(*(self.series(node) for node in nodes), strict=True):
            try:
                result.append(None if None in numbers else float(function(*numbers)))
            except ZeroDivisionError:
                result.append(None)
        return result

    def _as_series(self, value: Value, node: ast.expr) -> Vector:
        if isinstance(value, tuple):
            raise Unknown(f"the lab's metric math takes one series, not the list {ast.unparse(node)}")
        return value if isinstance(value, list) else [value] * self._count
