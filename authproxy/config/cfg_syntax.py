"""The existing product's `.cfg`: sections in brackets, `name=value` lines, and nothing else.

No interpolation (`%` is a percent sign), no comments behind values (`#` and `;` belong to them), no values over
several lines. Names of sections and options are compared without their case; white space around a value goes.
"""

from __future__ import annotations

import re

from authproxy.config.document import Entries, Flaw, Malformed, Scalar, Style

_SECTION = re.compile(r"\[\s*([^\[\]]*?)\s*\]\s*([;#].*)?")
_OPTION = re.compile(r"([A-Za-z0-9_.-]+)\s*[=:]\s*(.*)")


def read_cfg(text: str) -> tuple[Entries, list[Flaw]]:
    """The tree of a file, and what was passed over in it. Raises Malformed when there is nothing in it."""
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), start=1):
        reader.line(number, line.removesuffix("\r"))
    if not reader.tree and not reader.flaws:
        raise Malformed(Flaw(0, (), "empty: there is no section, so there is nothing to run"))
    return reader.tree, reader.flaws


class _Reader:
    """Line by line; a flaw costs its line only."""

    def __init__(self) -> None:
        self.tree = Entries(1)
        self.flaws: list[Flaw] = []
        self._section = ""
        self._options: Entries | None = None
        self._indent = -1  # of the option above; deeper than that it would continue it
        self._comments: list[str] = []

    def line(self, number: int, line: str) -> None:
        content = line.strip()
        if not content:
            return
        if content[0] in "#;":
            self._comments.append(content.lstrip("#;").strip())
        elif content.startswith("["):
            self._begin(number, content)
        elif found := _OPTION.fullmatch(content):
            self._option(number, len(line) - len(line.lstrip()), found[1].lower(), found[2])
        else:
            # The line may be a part of a secret: it is not repeated.
            self._flaw(number, "", "neither [section] nor name=value")

    def _flaw(self, number: int, option: str, what: str) -> None:
        self.flaws.append(Flaw(number, tuple(filter(None, (self._section, option))), what))

    def _begin(self, number: int, content: str) -> None:
        found = _SECTION.fullmatch(content)
        self._section = found[1].lower() if found else ""
        self._options = Entries(number)
        self._indent = -1
        if not self._section:
            self._flaw(
                number, "", "not a section: a name in brackets is expected, such as [radius_server_auto]"
            )
        elif self._section in self.tree:
            self._flaw(number, "", f"this section is already in line {self.tree.lines[self._section]}")
        else:
            self.tree.put(self._section, self._options, number)
            self._keep_comments(self.tree, self._section)

    def _option(self, number: int, indent: int, name: str, value: str) -> None:
        if self._options is None:
            self._flaw(number, name, "is before the first [section]")
        elif 0 <= self._indent < indent:
            self._flaw(
                number,
                name,
                "indented more than the line above, as if the value went on here; a value has to be on "
                "one line",
            )
        elif name in self._options:
            self._flaw(number, name, f"is already in line {self._options.lines[name]}")
        else:
            self._indent = indent
            self._options.put(name, Scalar(value, number, Style.CFG), number)
            self._keep_comments(self._options, name)

    def _keep_comments(self, entries: Entries, name: str) -> None:
        if self._comments:
            entries.comments[name] = tuple(self._comments)
            self._comments = []
