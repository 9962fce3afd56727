"""A log on a terminal: the event, then its fields as JSON, so that a value can't control the terminal."""

from __future__ import annotations

import json
import traceback
from typing import TextIO


class PlainLog:
    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        """`quiet`: only what somebody has to act on."""
        self._stream = stream
        self._quiet = quiet

    def debug(self, event: str, /, **fields: object) -> None:
        """Not shown on a terminal."""

    def info(self, event: str, /, **fields: object) -> None:
        if not self._quiet:
            self._write("info", event, fields)

    def warn(self, event: str, /, **fields: object) -> None:
        self._write("warn", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._write("error", event, fields)

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        self._write("error", event, fields | {"problem": type(error).__name__})
        for frame in traceback.extract_tb(error.__traceback__):
            print(f"    {frame.filename}:{frame.lineno} {frame.name}", file=self._stream)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        told = " ".join(f"{name}={json.dumps(str(value))}" for name, value in fields.items())
        print(f"{level} {event} {told}".rstrip(), file=self._stream, flush=True)
