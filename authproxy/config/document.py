"""A configuration file as a tree that remembers its lines, whatever the syntax. Values are still text here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from authproxy.values import light_dataclass


class Style(Enum):
    """How a scalar was written, which decides what its text may mean."""

    CFG = "cfg"  # always text; what it means is the option's matter
    PLAIN = "plain"  # YAML without quotes: may be a number, true, a date, …
    QUOTED = "quoted"  # YAML with quotes, or a block: text, exactly


@dataclass(frozen=True, slots=True, repr=False)
class Scalar:
    """One value. Its `repr` doesn't show it, because it may be a secret."""

    text: str
    line: int
    style: Style
    # YAML, of a plain value: it goes on in the next line; a comment stands behind it, or what was taken for one.
    continued: bool = False
    commented: bool = False


class Items(list["Node"]):
    """A list. `written`: the names of its items, if they came from a numbered family."""

    def __init__(self, items: Iterable[Node], line: int, written: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.line = line
        self.written = tuple(written)

    def __repr__(self) -> str:
        return f"Items of line {self.line}"


class Entries(dict[str, "Node"]):
    """A mapping. `lines`: the lines of its keys; `written`: their names, if they came from a numbered family."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.written: dict[str, str] = {}
        # Comment lines that stand above a key (.cfg only, for `convert`).
        self.comments: dict[str, tuple[str, ...]] = {}
        # Keys that nobody wrote: the syntax's own defaults.
        self.assumed: set[str] = set()

    def put(self, key: str, value: Node, line: int, written: str = "") -> None:
        self[key] = value
        self.lines[key] = line
        if written:
            self.written[key] = written

    def __repr__(self) -> str:
        return f"Entries of line {self.line}: {', '.join(self)}"


Node = Scalar | Items | Entries


@light_dataclass(frozen=True, slots=True)
class Flaw:
    """A mistake in the syntax; the rest could be read."""

    line: int
    path: tuple[str, ...]
    what: str


class Malformed(Exception):
    """Nothing after this flaw can be read; the administrator has to act."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.what)
        self.flaw = flaw


@light_dataclass(frozen=True, slots=True)
class Mark:
    """The line of an option, and its name there."""

    line: int
    path: str


def locate(entries: Entries, location: Iterable[str | int]) -> Mark:
    """Where an option of a section is: the deepest part of it that was written."""
    node: Node | None = entries
    line, path = entries.line, ""
    for step in location:
        path = _joined(path, node, step)
        node, line = _into(node, step, line)
    return Mark(line, path)


def _joined(path: str, node: Node | None, step: str | int) -> str:
    match node, step:
        case Entries(), str() if step in node.written:
            return node.written[step]
        case Items(), int() if step < len(node.written):
            return node.written[step]
        case _:
            return f"{path}[{step}]" if isinstance(step, int) else ".".join(filter(None, (path, step)))


def _into(node: Node | None, step: str | int, line: int) -> tuple[Node | None, int]:
    match node, step:
        case Entries(), str() if step in node:
            return node[step], node.lines[step]
        case Items(), int() if step < len(node):
            inner = node[step]
            return inner, inner.line
    return None, line
