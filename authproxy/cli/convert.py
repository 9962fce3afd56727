"""`authproxy convert`: an existing file as YAML, with a report of what changed, is risky or isn't supported."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from authproxy.config.convert import Converted, convert
from authproxy.config.problems import InvalidConfig, printable

SUMMARY = (
    "Turn an existing authproxy.cfg into YAML, and say what changed, what is risky and what is not supported."
)
EXAMPLE = "authproxy convert conf/authproxy.cfg -o conf/authproxy.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.cfg", type=Path, help="the file to convert; it isn't changed")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE.yaml",
        type=Path,
        help="the file to write, with mode 0600; an existing file is not overwritten. Default: "
        "standard output, with the report on standard error",
    )


def run(options: argparse.Namespace) -> int:
    output: Path | None = options.output
    try:
        converted = convert(options.file, (output or options.file).parent)
    except InvalidConfig as invalid:
        print(invalid, file=sys.stderr)
        print(f"{options.file}: nothing was converted", file=sys.stderr)
        return 2
    if output is None:
        sys.stdout.write(converted.yaml)
        _report(converted, sys.stderr)
        return 0
    try:
        _write(output, converted.yaml)
    except OSError as error:
        print(f"{output}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{output}: written; try it with `authproxy check -c {output}`")
    _report(converted, sys.stdout)
    return 0


def _write(path: Path, text: str) -> None:
    """A new file that nobody else can read. Raises OSError, also when it is there already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _report(converted: Converted, file: TextIO) -> None:
    for heading, lines in (
        ("not supported, left out", converted.unsupported),
        ("risky", map(str, converted.risky)),
        ("changed in the file", converted.changed),
        ("works differently here", converted.differs),
    ):
        _list(heading, lines, file)


def _list(heading: str, lines: Iterable[str], file: TextIO) -> None:
    for number, line in enumerate(lines):
        if not number:
            print(f"\n{heading}:", file=file)
        print(f"  {printable(line)}", file=file)
