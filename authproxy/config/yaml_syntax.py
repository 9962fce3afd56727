"""YAML as configuration: the safe subset of its events, with lines. No tags, no aliases, one document.

PyYAML's parser does the syntax; the tree is built here, so that a key that comes twice is seen, and so that a
plain `no`, `0123` or `2024-01-01` keeps its text until its option says what may stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from authproxy.config.document import Entries, Flaw, Items, Malformed, Node, Scalar, Style

_MOST_DEEP = 16
# libyaml's parser where PyYAML was built with it: ten times as fast, and its events are the same.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# YAML 1.1 and the 1.2 core schema: what a plain scalar may be taken for, by us or by the next tool that reads it.
_MEANINGS = (
    ("nothing", re.compile(r"~|null|Null|NULL|")),
    ("true or false", re.compile(r"(?i:true|false|yes|no|on|off|y|n)")),
    ("a date", re.compile(r"\d{4}-\d\d?-\d\d?([Tt \t].*)?")),
    (
        "a number",
        re.compile(
            r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
            r"|(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
        ),
    ),
    ("a merge key", re.compile(r"<<|=")),
)

# "\\ud800" in double quotes: no text, and nothing that UTF-8 could hold.
# The first line that is neither empty nor a comment: `[main]`.
_CFG_HEADER = re.compile(r"(?:[ \t]*(?:[#;].*)?\n)*(\[\w+\])[ \t]*(?:\n|$)")
_TABBED = re.compile(r" *\t")
_SURROGATE = re.compile("[\ud800-\udfff]")


def other_meaning(text: str) -> str:
    """What YAML may take this plain scalar for instead of text; '' when nothing."""
    return next((meaning for meaning, pattern in _MEANINGS if pattern.fullmatch(text)), "")


def read_yaml(text: str) -> tuple[Entries, list[Flaw]]:
    """The tree of a file, and what was passed over in it. Raises Malformed when there is no tree to be had."""
    if header := _CFG_HEADER.match(text):
        line = text.count("\n", 0, header.start(1)) + 1
        what = "this is the syntax of a .cfg: end the file's name in .cfg, or let `authproxy convert` make YAML of it"
        raise Malformed(Flaw(line, (), what))
    composer = _Composer(yaml.parse(text, Loader=_LOADER), text.splitlines())
    try:
        tree = composer.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        lines = text.splitlines()
        at = mark.line if mark else -1
        tabbed = 0 <= at < len(lines) and _TABBED.match(lines[at])
        what = "not YAML: this line is indented with a tab; use spaces" if tabbed else _explained(error)
        raise Malformed(Flaw(at + 1, (), what)) from None
    except yaml.YAMLError as error:
        raise Malformed(Flaw(0, (), f"not YAML: {type(error).__name__}")) from None
    if not isinstance(tree, Entries):
        raise Malformed(
            Flaw(tree.line, (), "sections are expected: a name, a colon, its options indented below")
        )
    return tree, composer.flaws


def _explained(error: yaml.MarkedYAMLError) -> str:
    # The parser's words may quote the text, and that may be a secret: only the fixed part of them is kept.
    problem = re.sub(r"(?s)['\"].*['\"]", "…", error.problem or "unreadable")
    return f"not YAML: {problem} (a value with : # {{ [ & * ! | > % @ ` or a quote in it belongs in quotes)"


class _Composer:
    """Events to tree."""

    def __init__(self, events: Iterator[yaml.Event], lines: list[str]) -> None:
        self._events = events
        self._lines = lines
        self._path: list[str] = []
        self.flaws: list[Flaw] = []

    def document(self) -> Node:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise Malformed(Flaw(0, (), "empty: there is no section, so there is nothing to run"))
        tree = self._node(next(self._events))
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise Malformed(
                Flaw(_line(after), (), "a second document begins here; a file can contain only one")
            )
        return tree

    def _node(self, event: yaml.Event) -> Node:
        self._refuse_indirection(event)
        if isinstance(event, yaml.ScalarEvent) and _SURROGATE.search(event.value):
            self._flaw(_line(event), "an escape stands for half a character")
            return Scalar("", _line(event), Style.QUOTED)
        match event:
            case yaml.SequenceStartEvent():
                return self._items(_line(event))
            case yaml.MappingStartEvent():
                return self._entries(_line(event))
            case yaml.ScalarEvent() if event.style in (None, ""):
                return self._plain(event)
        return Scalar(getattr(event, "value", ""), _line(event), Style.QUOTED)

    def _refuse_indirection(self, event: yaml.Event) -> None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._flaw(
                line,
                "& and * are YAML anchors and aliases, which are not supported; put the value in quotes",
            )
        elif getattr(event, "tag", None):
            self._flaw(line, "! is a YAML tag, which is not supported; put the value in quotes")

    def _flaw(self, line: int, what: str) -> None:
        self.flaws.append(Flaw(line, tuple(self._path), what))

    def _items(self, line: int) -> Items:
        items = Items([], line)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            self._enter(f"[{len(items)}]", line)
            items.append(self._node(event))
            self._path.pop()
        return items

    def _entries(self, line: int) -> Entries:
        entries = Entries(line)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise Malformed(Flaw(_line(event), tuple(self._path), "a name is expected before the colon"))
            key = event.value
            self._enter(key, _line(event))
            self._refuse_indirection(event)
            value = self._node(next(self._events))
            if key in entries:
                self._flaw(_line(event), f"is already in line {entries.lines[key]}")
            else:
                entries.put(key, value, _line(event))
            self._path.pop()
        return entries

    def _enter(self, step: str, line: int) -> None:
        if len(self._path) >= _MOST_DEEP:
            raise Malformed(Flaw(line, tuple(self._path[:2]), f"nested deeper than {_MOST_DEEP} levels"))
        self._path.append(step)

    def _plain(self, event: yaml.ScalarEvent) -> Scalar:
        start, end = event.start_mark, event.end_mark
        if start is None or end is None:
            return Scalar(event.value, 0, Style.PLAIN)
        rest = self._lines[end.line][end.column :] if end.line < len(self._lines) else ""
        continued, commented = end.line != start.line, rest.lstrip().startswith("#")
        return Scalar(event.value, start.line + 1, Style.PLAIN, continued, commented)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0
