"""The part of Nomad's filter language (go-bexpr) that a node lookup may use.

Evaluated as the strictest supported server does it: comparing a map key that a node
does not have is an error (go-bexpr 0.1.11), and so is a field that nodes do not have.
"""

from __future__ import annotations

import re
from typing import Any, Callable

Node = dict[str, Any]
Test = Callable[[Node], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<sign>==|!=|[\[\]().])|(?P<word>[A-Za-z][A-Za-z0-9_/]*))"""
)


class FilterError(Exception):
    pass


def compile_filter(text: str) -> Test:
    parser = _Parser(text)
    test = parser.alternatives()
    if parser.peek() is not None:
        raise FilterError(f"unexpected {parser.peek()!r} in {text!r}")
    return test


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise FilterError(f"no match found at {text[position:]!r}")
            self._tokens.append(match.group().strip())
            position = match.end()
        self._next = 0

    def peek(self) -> str | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def take(self, *expected: str) -> str:
        token = self.peek()
        if token is None or (expected and token not in expected):
            raise FilterError(f"expected {expected or 'something'}, found {token!r}")
        self._next += 1
        return token

    def accept(self, token: str) -> bool:
        if self.peek() == token:
            self._next += 1
            return True
        return False

    def alternatives(self) -> Test:
        left = self.conjunction()
        if not self.accept("or"):
            return left
        right = self.alternatives()
        return lambda node: left(node) or right(node)

    def conjunction(self) -> Test:
        left = self.negation()
        if not self.accept("and"):
            return left
        right = self.conjunction()
        return lambda node: left(node) and right(node)

    def negation(self) -> Test:
        if self.accept("not"):
            inner = self.negation()
            return lambda node: not inner(node)
        if self.accept("("):
            inner = self.alternatives()
            self.take(")")
            return inner
        return self.comparison()

    def comparison(self) -> Test:
        get = self.selector()
        negated = self.accept("not")
        operator = self.take(*(("contains", "matches") if negated else ("contains", "matches", "==", "!=")))
        value = _unquote(self.take())
        tests: dict[str, Test] = {
            "contains": lambda node: value in get(node),
            "matches": lambda node: re.search(value, get(node)) is not None,
            "==": lambda node: get(node) == value,
            "!=": lambda node: get(node) != value,
        }
        test = tests[operator]
        return (lambda node: not test(node)) if negated else test

    def selector(self) -> Callable[[Node], Any]:
        path = [self.take()]
        while self.peek() in ("[", "."):
            if self.take() == "[":
                path.append(_unquote(self.take()))
                self.take("]")
            else:
                path.append(self.take())

        def get(node: Node) -> Any:
            value: Any = node
            for part, key in enumerate(path):
                if not isinstance(value, dict) or key not in value:
                    raise FilterError(
                        f"error finding value in datum: /{'/'.join(path)} at part {part}: couldn't find key {key!r}"
                    )
                value = value[key]
            return value

        return get


def _unquote(token: str) -> str:
    if token[0] == "`":
        return token[1:-1]
    if token[0] == '"':
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    raise FilterError(f"{token!r} is not a quoted value")
