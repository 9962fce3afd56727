"""A configuration file's octets into its tree: size, encoding, syntax."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn

from authproxy.config.cfg_syntax import read_cfg
from authproxy.config.document import Entries, Flaw, Malformed
from authproxy.config.folders import CFG_SUFFIXES
from authproxy.config.problems import InvalidConfig, Problem, Report
from authproxy.config.regular import read_regular
from authproxy.config.yaml_syntax import read_yaml

MOST_OCTETS = 1024 * 1024
YAML_SUFFIXES = frozenset({".yaml", ".yml"})


def is_cfg(path: Path) -> bool:
    return path.suffix.lower() in CFG_SUFFIXES


def read_text(path: Path) -> str:
    """The text of a configuration file. Raises InvalidConfig."""
    if path.suffix.lower() not in YAML_SUFFIXES | CFG_SUFFIXES:
        _refuse(path, 0, "its name has to end in .yaml, .yml, .cfg or .ini, which says its syntax")
    try:
        octets = read_regular(path, MOST_OCTETS + 1)
    except OSError as error:
        _refuse(path, 0, error.strerror or "can't be read")
    if len(octets) > MOST_OCTETS:
        _refuse(path, 0, f"longer than {MOST_OCTETS} bytes, so hardly a configuration")
    return decoded(octets, path)


def _refuse(path: Path, line: int, what: str) -> NoReturn:
    raise InvalidConfig([Problem(str(path), line, "", "", what)])


# What no configuration holds on purpose: controls, and what YAML can't hold. A tab and line ends are fine.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def decoded(octets: bytes, path: Path) -> str:
    """The text that these octets are. Raises InvalidConfig."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        hint = "UTF-16" if octets.startswith((b"\xff\xfe", b"\xfe\xff")) else "another encoding"
        _refuse(
            path, line, f"not UTF-8 (octet {error.start + 1}): save the file as UTF-8, it looks like {hint}"
        )
    if found := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        _refuse(path, line, f"the character U+{ord(found[0]):04X} isn't allowed in a configuration")
    return text


def read_tree(text: str, path: Path, report: Report) -> Entries:
    """The file's tree; flaws of the syntax go into the report. Raises InvalidConfig when there is no tree."""
    try:
        tree, flaws = read_cfg(text) if is_cfg(path) else read_yaml(text)
    except Malformed as malformed:
        raise InvalidConfig([*report.problems, _of_syntax(str(path), malformed.flaw)]) from None
    report.problems.extend(_of_syntax(str(path), flaw) for flaw in flaws)
    return tree


def _of_syntax(file: str, flaw: Flaw) -> Problem:
    section, *option = flaw.path or ("",)
    return Problem(file, flaw.line, section, ".".join(option).replace(".[", "["), flaw.what)
