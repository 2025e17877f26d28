"""Update expressions: SET, REMOVE, ADD and DELETE."""

from __future__ import annotations

import decimal
import functools
from typing import Any

from tests.support.fakes.expressions import (
    Expression,
    InvalidExpressionError,
    Operand,
    Parser,
    Path,
    Scope,
    resolve,
)
from tests.support.fakes.values import AttributeValue, Item, normalised, normalised_number

_MATH = decimal.Context(prec=38, rounding=decimal.ROUND_HALF_UP)


class UpdateExpression(Expression):
    """SET, REMOVE, ADD and DELETE; paths below the top level in SET and REMOVE of maps."""

    def __init__(self, text: str) -> None:
        parser = Parser(text)
        self.sets: list[tuple[Path, Operand]] = []
        self.removes: list[Path] = []
        self.adds: list[tuple[Path, Operand]] = []
        self.deletes: list[tuple[Path, Operand]] = []
        seen: set[str] = set()
        while parser.peek()[0] != "end":
            clause = parser.take()[1].upper()
            if clause in seen:
                raise InvalidExpressionError(
                    f'The "{clause}" section can only be used once in an update expression;'
                )
            seen.add(clause)
            self._clause(parser, clause)
        super().__init__(parser)

    def _clause(self, parser: Parser, clause: str) -> None:
        while True:
            if clause == "SET":
                path = parser.path()
                parser.expect("=")
                self.sets.append((path, self._assigned(parser)))
            elif clause == "REMOVE":
                self.removes.append(parser.path())
            elif clause in ("ADD", "DELETE"):
                target = self.adds if clause == "ADD" else self.deletes
                target.append((parser.path(), parser.operand()))
            else:
                parser.position -= 1
                raise parser.syntax_error()
            if not parser.accept(","):
                return

    def _assigned(self, parser: Parser) -> Operand:
        left = self._term(parser)
        for symbol in "+-":
            if parser.accept(symbol):
                right = self._term(parser)
                return functools.partial(_sum, left, right, symbol)
        return left

    def _term(self, parser: Parser) -> Operand:
        kind, word = parser.peek()
        if kind != "word" or word not in ("if_not_exists", "list_append"):
            return parser.operand()
        parser.take()
        parser.expect("(")
        first = parser.operand()
        parser.expect(",")
        second = self._term(parser)
        parser.expect(")")
        if word == "if_not_exists":
            return lambda item, scope: first(item, scope) or second(item, scope)
        return lambda item, scope: {
            "L": _needed(first(item, scope))["L"] + _needed(second(item, scope))["L"]
        }

    def apply(self, item: Item, scope: Scope) -> Item:
        """The item after the update. Every operand is read from the item before it."""
        changed = {name: normalised(value) for name, value in item.items()}
        assigned = [
            (resolve(path, scope), _needed(operand(item, scope))) for path, operand in self.sets
        ]
        for path in self.removes:
            parent, last = _parent(changed, resolve(path, scope))
            parent.pop(last, None)
        for path, value in assigned:
            parent, last = _parent(changed, path)
            parent[last] = normalised(value)
        for path, operand in self.adds:
            _add(changed, str(resolve(path, scope)[0]), _needed(operand(item, scope)))
        for path, operand in self.deletes:
            _delete(changed, str(resolve(path, scope)[0]), _needed(operand(item, scope)))
        return changed


def _needed(value: AttributeValue | None) -> AttributeValue:
    if value is None:
        raise InvalidExpressionError(
            "The provided expression refers to an attribute that does not exist in the item"
        )
    return value


def _sum(left: Operand, right: Operand, symbol: str, item: Item, scope: Scope) -> AttributeValue:
    one, other = _needed(left(item, scope)), _needed(right(item, scope))
    if "N" not in one or "N" not in other:
        raise InvalidExpressionError(
            "An operand in the update expression has an incorrect data type"
        )
    first, second = decimal.Decimal(one["N"]), decimal.Decimal(other["N"])
    total = _MATH.add(first, second) if symbol == "+" else _MATH.subtract(first, second)
    return {"N": normalised_number(str(total))}


def _parent(item: Item, path: Path) -> tuple[dict[str, Any], str]:
    current: Any = item
    for step in path[:-1]:
        if not isinstance(step, str) or step not in current or "M" not in current[step]:
            raise InvalidExpressionError(
                "The document path provided in the update expression is invalid for update"
            )
        current = current[step]["M"]
    if not isinstance(path[-1], str):
        raise NotImplementedError("Update of list elements.")
    return current, path[-1]


def _add(item: Item, name: str, value: AttributeValue) -> None:
    ((kind, content),) = value.items()
    present = item.get(name)
    if present is None:
        item[name] = normalised(value)
    elif kind == "N" and "N" in present:
        total = _MATH.add(decimal.Decimal(present["N"]), decimal.Decimal(content))
        item[name] = {"N": normalised_number(str(total))}
    elif kind in ("SS", "NS", "BS") and kind in present:
        item[name] = {kind: list(dict.fromkeys([*present[kind], *content]))}
    else:
        raise InvalidExpressionError(
            "An operand in the update expression has an incorrect data type"
        )


def _delete(item: Item, name: str, value: AttributeValue) -> None:
    ((kind, content),) = value.items()
    if kind not in ("SS", "NS", "BS"):
        raise InvalidExpressionError(
            "Incorrect operand type for operator or function; operator: DELETE, "
            f"operand type: {kind}"
        )
    if name not in item:
        return
    left = [member for member in item[name].get(kind, []) if member not in content]
    if left:
        item[name] = {kind: left}
    else:
        del item[name]


@functools.lru_cache(maxsize=256)
def update(text: str) -> UpdateExpression:
    return UpdateExpression(text)
