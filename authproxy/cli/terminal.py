"""The commands' output: columns, and colours on a terminal (https://no-color.org)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from authproxy.listeners.admin.markup import visible

_COLOURS = {"good": "32", "warn": "33", "bad": "31", "quiet": "2", "strong": "1", "alarm": "1;37;41"}


class Terminal:
    """Output for one stream. If it isn't a terminal, only plain text."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.is_one = self.stream.isatty()
        self._coloured = self.is_one and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, kind: str) -> str:
        return f"\033[{_COLOURS[kind]}m{text}\033[0m" if self._coloured else text

    def line(self, text: str = "", kind: str = "") -> None:
        """Print exactly one line, whatever the text contains."""
        shown = visible(text)
        print(self.paint(shown, kind) if kind else shown, file=self.stream)

    def marked(self, mark: str, text: str) -> None:
        """Print a line after a mark that is coloured already."""
        print(f"{mark} {visible(text)}", file=self.stream)

    def table(self, rows: Iterable[Sequence[str]], indent: str = "  ") -> None:
        """Print columns as wide as needed; empty ones are left out."""
        cells = [[visible(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            shown = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
            print((indent + "  ".join(shown)).rstrip(), file=self.stream)

    def passing(self, text: str) -> None:
        """A line that the next one overwrites; only on a terminal."""
        if self.is_one:
            print(f"\r{visible(text)}\033[K", end="", file=self.stream, flush=True)

    def passed(self) -> None:
        """Clear the passing line."""
        if self.is_one:
            print("\r\033[K", end="", file=self.stream, flush=True)
