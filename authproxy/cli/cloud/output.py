"""The output of `authproxy cloud`: tables for people, JSON for programs, one line for an error."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from authproxy.embedded.cloud.model import User
from authproxy.embedded.cloud.store.database import DatabaseUnusable
from authproxy.embedded.cloud.store.sealing import KeyUnusable
from authproxy.embedded.cloud.store.store import Store, open_store
from authproxy.pipeline.username import MalformedUsername, read_username


class Failed(Exception):
    """The command can't be carried out; the text says why."""


def complain(problem: str) -> int:
    print(problem, file=sys.stderr)
    return 1


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Store]:
    """The service's store; the service may be running."""
    try:
        store = open_store(options.data, time.time)
    except (DatabaseUnusable, KeyUnusable) as unusable:
        raise Failed(str(unusable)) from None
    try:
        yield store
    finally:
        store.close()


def show(options: argparse.Namespace, rows: Sequence[Mapping[str, object]], nothing: str) -> int:
    """Print rows with the same columns; print `nothing` if there are none."""
    if options.json:
        print(json.dumps(list(rows), indent=2, default=list))
        return 0
    if not rows:
        print(nothing)
        return 0
    lines = [
        [name.replace("_", " ") for name in rows[0]],
        *([_cell(value) for value in row.values()] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return 0


def tell(options: argparse.Namespace, facts: Mapping[str, object], *hints: str) -> int:
    """Print one thing and its facts; hints are only for people."""
    if options.json:
        print(json.dumps(facts, indent=2, default=list))
        return 0
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<{width}}  {_cell(value)}")
    for hint in hints:
        print(hint)
    return 0


def _cell(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return " ".join(map(str, value))
        case _:
            # A name may hold what would draw on the terminal.
            return "".join(letter if letter.isprintable() else "�" for letter in str(value))


def when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def username_of(text: str) -> str:
    try:
        return read_username(text.encode()).canonical
    except (MalformedUsername, UnicodeEncodeError) as malformed:
        raise Failed(str(malformed)) from None


def known_user(store: Store, name: str) -> User:
    user = store.users.named(username_of(name)) or store.users.find(name)
    if user is None:
        raise Failed(f"there is no user {name}")
    return user


def default_folder() -> Path:
    """$AUTHPROXY_CLOUD_DATA, else a folder beside this user's other state."""
    if named := os.environ.get("AUTHPROXY_CLOUD_DATA"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/authproxy/cloud")
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "authproxy" / "cloud"
