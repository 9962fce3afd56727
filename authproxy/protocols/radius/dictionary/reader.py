"""Dictionary files into definitions, with pyrad's parser: what it can't read is left out and named.

Files that were written for other servers have types, formats and words beyond RADIUS's basic ones. Only what the parser
needs goes to it; a line it refuses is taken out, and a block that can't be told apart from its surroundings whole.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pyrad.dictionary import Dictionary as Parser
from pyrad.dictionary import ParseError

from authproxy.protocols.radius.dictionary import Definition, Skipped
from authproxy.values import light_dataclass

# It warns about what it skips; we say so ourselves.
logging.getLogger("pyrad").addHandler(logging.NullHandler())

_ROOT = "dictionary"
_MOST_DEEP = 20  # files that include each other
_MEANT_FOR_THE_PARSER = frozenset(("ATTRIBUTE", "VENDOR", "BEGIN-VENDOR", "END-VENDOR"))
_INCLUDES = frozenset(("$INCLUDE", "$INCLUDE-"))
# Inside these, numbers count from the block's own beginning: an attribute 1 in there is not User-Name.
_BLOCKS = {"BEGIN-TLV": "END-TLV", "BEGIN-STRUCT": "END-STRUCT", "BEGIN": "END"}


@light_dataclass(frozen=True, slots=True)
class _Line:
    file: str
    number: int
    words: list[str]

    @property
    def keyword(self) -> str:
        return self.words[0].upper()

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


class Reader:
    """Reads files into one parser. It gets texts by name and opens no file."""

    def __init__(self) -> None:
        self._parser: Any = Parser()
        self._files: Mapping[str, str] = {}
        self._begun: set[str] = set()
        self._skipped: list[Skipped] = []
        # By attribute and name, both in small letters. A value is a number and needs no parser.
        self.values: dict[str, dict[str, int]] = {}

    def read(self, files: Mapping[str, str]) -> None:
        """Read the file `dictionary` and what it includes; or all files if none has that name."""
        self._files = files
        self._begun = set()
        for name in [_ROOT] if _ROOT in files else sorted(files):
            self._read_file(name, 0)

    def definitions(self) -> Iterator[Definition]:
        """The attributes that can be in a packet by themselves."""
        for name, parsed in self._parser.attributes.items():
            if self._problem(parsed) is None:
                vendor = self._parser.vendors.GetForward(parsed.vendor) if parsed.vendor else None
                yield Definition(name, vendor, parsed.code, parsed.type, parsed.encrypt, parsed.has_tag)

    def vendors(self) -> dict[int, str]:
        """Names by number; the first name if a number has several."""
        named: dict[int, str] = {}
        for name in self._parser.vendors.forward:
            if name:
                named.setdefault(self._parser.vendors.GetForward(name), name)
        return named

    def skipped(self) -> tuple[Skipped, ...]:
        attributes = self._parser.attributes
        unread = sorted(name for name in self._parser.skipped_attributes if name not in attributes)
        apart = [(name, self._problem(parsed)) for name, parsed in attributes.items()]
        return (
            *self._skipped,
            *(Skipped(name, "its type or its vendor's format is not read") for name in unread),
            *(Skipped(name, problem) for name, problem in apart if problem is not None),
        )

    @staticmethod
    def _problem(parsed: Any) -> str | None:
        if parsed.is_sub_attribute:
            return "stands inside another attribute"
        if not 0 < parsed.code < 256:
            return f"number {parsed.code} is on no wire"
        return None

    def _read_file(self, name: str, depth: int) -> None:
        if name in self._begun:
            return
        self._begun.add(name)
        if depth > _MOST_DEEP:
            self._skip(name, "included too deep")
            return
        chunk: list[_Line] = []
        for line in self._lines(name):
            if line.keyword in _INCLUDES:
                self._parse(chunk)
                chunk = _open_vendor(chunk)
                self._include(line, depth)
            else:
                chunk.append(line)
        self._parse(chunk)

    def _include(self, line: _Line, depth: int) -> None:
        # Names are of files beside this one, whatever folder they are written with.
        name = " ".join(line.words[1:]).rpartition("/")[2]
        if name in self._files:
            self._read_file(name, depth + 1)
        elif line.keyword == "$INCLUDE":
            self._skip(str(line), f"includes {name}, which isn't there")

    def _lines(self, name: str) -> Iterator[_Line]:
        """What matters, without the blocks of other numbering."""
        until: list[str] = []
        for number, text in enumerate(self._files[name].splitlines(), 1):
            words = text.partition("#")[0].split()
            if not words:
                continue
            line = _Line(name, number, words)
            if line.keyword in _BLOCKS:
                if not until:
                    self._skip(str(line), f"{' '.join(words)}: a block of its own numbering")
                until.append(_BLOCKS[line.keyword])
            elif until:
                if line.keyword == until[-1]:
                    until.pop()
            elif line.keyword == "VALUE":
                self._value(line)
            elif line.keyword in _INCLUDES or line.keyword in _MEANT_FOR_THE_PARSER:
                yield line

    def _value(self, line: _Line) -> None:
        if len(line.words) < 4 or not re.fullmatch(r"\d+|0[xX][0-9a-fA-F]+", line.words[3]):
            return  # of an attribute that isn't a number
        _, attribute, name, number = line.words[:4]
        base = 16 if number[:2] in ("0x", "0X") else 10
        self.values.setdefault(attribute.lower(), {})[name.lower()] = int(number, base)

    def _parse(self, lines: list[_Line]) -> None:
        while lines:
            text = "\n".join(" ".join(line.words) for line in lines)
            try:
                self._parser.ReadDictionary(io.StringIO(text))
            except ParseError as error:
                at = error.line - 1
                self._skip(str(lines[at]), error.msg or "not understood")
                lines = _without(lines, at)
            except Exception as error:  # noqa: BLE001 - a strange file must not stop the start
                self._skip(lines[0].file, f"{type(error).__name__} in the dictionary parser")
                return
            else:
                return

    def _skip(self, what: str, reason: str) -> None:
        self._skipped.append(Skipped(what, reason))


def _without(lines: list[_Line], at: int) -> list[_Line]:
    """Without the line, and without those that would now count as another vendor's, or as nobody's."""
    match lines[at].keyword:
        case "BEGIN-VENDOR":
            return lines[:at] + lines[_end_of_vendor(lines, at) :]
        case "END-VENDOR":
            return lines[:at]
        case _:
            return lines[:at] + lines[at + 1 :]


def _end_of_vendor(lines: list[_Line], at: int) -> int:
    for index in range(at, len(lines)):
        if lines[index].keyword == "END-VENDOR":
            return index + 1
    return len(lines)


def _open_vendor(lines: list[_Line]) -> list[_Line]:
    """The line that began the vendor's block that these leave open."""
    for line in reversed(lines):
        if line.keyword == "BEGIN-VENDOR":
            return [line]
        if line.keyword == "END-VENDOR":
            return []
    return []
