"""Condition and projection expressions, as DynamoDB reads and evaluates them.

An expression is parsed once per text and kept; names and values are looked up at evaluation. A
mistake in an expression raises `InvalidExpressionError`, which becomes a ValidationException.
"""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Callable, Mapping

from tests.support.fakes.values import (
    AttributeValue,
    Item,
    equal,
    normalised,
    order,
    size,
)

RESERVED = frozenset(
    pathlib.Path(__file__).with_name("reserved_words.txt").read_text(encoding="ascii").split()
)
_TOKEN = re.compile(
    r"\s*(?:(?P<symbol><=|>=|<>|[=<>(),.\[\]+-])|(?P<word>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<name>#[A-Za-z0-9_]+)|(?P<value>:[A-Za-z0-9_]+)|(?P<number>[0-9]+))"
)
_COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")
_ORDERED = ("S", "N", "B")
_KEYWORDS = frozenset(("AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"))

Values = Mapping[str, AttributeValue]
Path = tuple[str | int, ...]


class InvalidExpressionError(Exception):
    """DynamoDB would answer ValidationException; the message lacks the name of the expression."""


class Scope:
    """One request's placeholders, and which of them were used."""

    def __init__(self, names: Mapping[str, str] | None, values: Values | None) -> None:
        self.names = names or {}
        self.values = {name: normalised(value) for name, value in (values or {}).items()}


Operand = Callable[[Item, Scope], AttributeValue | None]
Condition = Callable[[Item, Scope], bool]


class Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        self.position = 0
        self.names: set[str] = set()
        self.values: set[str] = set()
        at, end = 0, len(text.rstrip())
        if not end:
            raise InvalidExpressionError("The expression can not be empty;")
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise InvalidExpressionError(f'Syntax error; token: "{text[at]}", near: "{text}"')
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "<EOF>")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.position += 1
        return token

    def accept(self, text: str) -> bool:
        kind, found = self.peek()
        same = found.upper() == text if kind == "word" else kind == "symbol" and found == text
        self.position += same
        return same

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.syntax_error()

    def syntax_error(self) -> InvalidExpressionError:
        return InvalidExpressionError(
            f'Syntax error; token: "{self.peek()[1]}", near: "{self.text[:60]}"'
        )

    def finish(self) -> None:
        if self.peek()[0] != "end":
            raise self.syntax_error()

    # Conditions -----------------------------------------------------------------------------

    def condition(self) -> Condition:
        terms = [self._conjunction()]
        while self.accept("OR"):
            terms.append(self._conjunction())
        if len(terms) == 1:
            return terms[0]
        return lambda item, scope: any(term(item, scope) for term in terms)

    def _conjunction(self) -> Condition:
        terms = [self._negation()]
        while self.accept("AND"):
            terms.append(self._negation())
        if len(terms) == 1:
            return terms[0]
        return lambda item, scope: all(term(item, scope) for term in terms)

    def _negation(self) -> Condition:
        if self.accept("NOT"):
            inner = self._negation()
            return lambda item, scope: not inner(item, scope)
        return self._primary()

    def _primary(self) -> Condition:
        if self.accept("("):
            start = self.position
            inner = self.condition()
            self.expect(")")
            if self.tokens[start] == ("symbol", "(") and self._closes(start) == self.position - 2:
                raise InvalidExpressionError("The expression has redundant parentheses;")
            return inner
        kind, word = self.peek()
        following = self.tokens[self.position + 1 : self.position + 2]
        if kind == "word" and following == [("symbol", "(")] and word != "size":
            return self._function(self.take()[1])
        return self._comparison()

    def _closes(self, opening: int) -> int:
        depth = 0
        for index in range(opening, len(self.tokens)):
            kind, text = self.tokens[index]
            depth += (kind == "symbol") * ((text == "(") - (text == ")"))
            if depth == 0:
                return index
        raise self.syntax_error()

    def _function(self, name: str) -> Condition:
        if name not in _FUNCTIONS:
            raise InvalidExpressionError(f"Invalid function name; function: {name}")
        self.expect("(")
        path = self.path()
        second: Operand | None = None
        if name not in ("attribute_exists", "attribute_not_exists"):
            self.expect(",")
            second = self.operand()
        self.expect(")")
        read = _reader(path)
        return _FUNCTIONS[name](read, second)

    def _comparison(self) -> Condition:
        left = self.operand()
        kind, text = self.peek()
        if kind == "symbol" and text in _COMPARATORS:
            self.take()
            right = self.operand()
            return _comparison(text, left, right)
        if self.accept("BETWEEN"):
            low = self.operand()
            self.expect("AND")
            high = self.operand()
            at_least, at_most = _comparison(">=", left, low), _comparison("<=", left, high)
            return lambda item, scope: at_least(item, scope) and at_most(item, scope)
        if self.accept("IN"):
            self.expect("(")
            choices = [_comparison("=", left, self.operand())]
            while self.accept(","):
                choices.append(_comparison("=", left, self.operand()))
            self.expect(")")
            return lambda item, scope: any(choice(item, scope) for choice in choices)
        raise self.syntax_error()

    # Operands and paths ---------------------------------------------------------------------

    def operand(self) -> Operand:
        kind, text = self.peek()
        if kind == "value":
            self.take()
            self.values.add(text)
            return functools.partial(_value_of, text)
        if kind == "word" and text == "size" and self.tokens[self.position + 1][1] == "(":
            self.take()
            self.expect("(")
            read = _reader(self.path())
            self.expect(")")
            return lambda item, scope: _size_of(read(item, scope))
        return _reader(self.path())

    def path(self) -> Path:
        steps: list[str | int] = [self._name()]
        while True:
            if self.accept("."):
                steps.append(self._name())
            elif self.accept("["):
                kind, text = self.take()
                if kind != "number":
                    raise self.syntax_error()
                steps.append(int(text))
                self.expect("]")
            else:
                return tuple(steps)

    def _name(self) -> str:
        kind, text = self.take()
        if kind == "name":
            self.names.add(text)
            return text
        if kind != "word" or text.upper() in _KEYWORDS:
            self.position -= 1
            raise self.syntax_error()
        if text.upper() in RESERVED:
            raise InvalidExpressionError(
                f"Attribute name is a reserved keyword; reserved keyword: {text}"
            )
        return text


def _value_of(placeholder: str, item: Item, scope: Scope) -> AttributeValue:
    return scope.values[placeholder]


def _reader(path: Path) -> Operand:
    if len(path) == 1 and isinstance(path[0], str) and not path[0].startswith("#"):
        plain = path[0]
        return lambda item, scope: item.get(plain)

    def read(item: Item, scope: Scope) -> AttributeValue | None:
        current: AttributeValue | None = {"M": item}
        for step in resolve(path, scope):
            if current is None:
                return None
            if isinstance(step, int):
                elements = current.get("L", [])
                current = elements[step] if step < len(elements) else None
            else:
                current = current.get("M", {}).get(step)
        return current

    return read


def resolve(path: Path, scope: Scope) -> Path:
    """The path with its #names looked up."""
    return tuple(
        scope.names[step] if isinstance(step, str) and step.startswith("#") else step
        for step in path
    )


def _size_of(value: AttributeValue | None) -> AttributeValue | None:
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind in ("M", "L", "SS", "NS", "BS"):
        return {"N": str(len(content))}
    return {"N": str(size(value))} if kind in ("S", "B") else None


def _comparison(comparator: str, left: Operand, right: Operand) -> Condition:
    def compare(item: Item, scope: Scope) -> bool:
        one, other = left(item, scope), right(item, scope)
        if comparator == "<>":
            return one is None or other is None or not equal(one, other)
        if one is None or other is None:
            return False
        if comparator == "=":
            return equal(one, other)
        for side, value in ((left, one), (right, other)):
            kind = next(iter(value))
            if kind not in _ORDERED and isinstance(side, functools.partial):
                raise InvalidExpressionError(
                    "Incorrect operand type for operator or function; operator or function: "
                    f"{comparator}, operand type: {kind}"
                )
        if one.keys() != other.keys():
            return False
        first, second = order(one), order(other)
        if first is None or second is None:
            return False
        less, same = first < second, first == second  # type: ignore[operator]
        return {"<": less, "<=": less or same, ">": not (less or same), ">=": not less}[comparator]

    return compare


def _attribute_type(read: Operand, kind: Operand | None) -> Condition:
    def check(item: Item, scope: Scope) -> bool:
        value, wanted = read(item, scope), kind and kind(item, scope)
        return value is not None and wanted is not None and wanted.get("S") in value

    return check


def _begins_with(read: Operand, prefix: Operand | None) -> Condition:
    def check(item: Item, scope: Scope) -> bool:
        value, start = read(item, scope), prefix and prefix(item, scope)
        if value is None or start is None or value.keys() != start.keys():
            return False
        ((_, content),) = value.items()
        return bool(content.startswith(next(iter(start.values()))))

    return check


def _contains(read: Operand, part: Operand | None) -> Condition:
    def check(item: Item, scope: Scope) -> bool:
        value, wanted = read(item, scope), part and part(item, scope)
        if value is None or wanted is None:
            return False
        ((kind, content),) = value.items()
        if kind == "L":
            return any(equal(element, wanted) for element in content)
        if kind in ("SS", "NS", "BS") or kind in ("S", "B"):
            return kind[0] in wanted and wanted[kind[0]] in content
        return False

    return check


_FUNCTIONS: dict[str, Callable[[Operand, Operand | None], Condition]] = {
    "attribute_exists": lambda read, _: lambda item, scope: read(item, scope) is not None,
    "attribute_not_exists": lambda read, _: lambda item, scope: read(item, scope) is None,
    "attribute_type": _attribute_type,
    "begins_with": _begins_with,
    "contains": _contains,
}


class Expression:
    """A parsed expression: what it uses, and what it does."""

    def __init__(self, parser: Parser) -> None:
        self.names = frozenset(parser.names)
        self.values = frozenset(parser.values)


class ConditionExpression(Expression):
    def __init__(self, text: str) -> None:
        parser = Parser(text)
        self.holds = parser.condition()
        parser.finish()
        super().__init__(parser)


class ProjectionExpression(Expression):
    def __init__(self, text: str) -> None:
        parser = Parser(text)
        self.paths = [parser.path()]
        while parser.accept(","):
            self.paths.append(parser.path())
        parser.finish()
        super().__init__(parser)

    def project(self, item: Item, scope: Scope) -> Item:
        """Top-level attributes only: nothing here asks for more."""
        wanted = {resolve(path, scope)[0] for path in self.paths}
        if any(len(path) > 1 for path in self.paths):
            raise NotImplementedError("Projection of nested attributes.")
        return {name: value for name, value in item.items() if name in wanted}


@functools.lru_cache(maxsize=1024)
def condition(text: str) -> ConditionExpression:
    return ConditionExpression(text)


@functools.lru_cache(maxsize=256)
def projection(text: str) -> ProjectionExpression:
    return ProjectionExpression(text)
