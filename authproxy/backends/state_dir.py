"""What lasts over a restart: small named sets in `main.state_dir`, each a file that is replaced whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


class StateUnusable(Exception):
    """The administrator has to act: the folder can't be written, or a file in it isn't ours to read."""


def open_state_dir(path: Path) -> Path:
    """The folder, made private, shown to be writable. Raises StateUnusable."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StateUnusable(f"{path}: {error.strerror}; set main.state_dir to a folder I can write") from None
    return path


def write_problem(path: Path) -> str:
    """Why nothing can be written there now; "" when it can. It writes a block, and takes it away again."""
    probe = path / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):
            probe.unlink()
        return error.strerror or type(error).__name__
    return ""


class LastingSet:
    """A set of names. `add` returns when the name is on the disk."""

    def __init__(self, path: Path) -> None:
        """Raises StateUnusable if the file contains something else."""
        self._path = path
        self._names = frozenset(_read(path))

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def add(self, name: str) -> None:
        """Raises OSError. The name counts from now on, even if the disk doesn't take it."""
        self._names |= {name}
        self.save()

    def save(self) -> None:
        """Write the whole set again, with what an earlier failure left out. Raises OSError."""
        replace_file(self._path, json.dumps({"version": 1, "names": sorted(self._names)}).encode())


def lasting_key(path: Path) -> bytes:
    """32 random octets, created at the first start. Raises StateUnusable."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        replace_file(path, key)
    if len(key) != 32:
        raise StateUnusable(f"{path}: not a key of mine; move it away")
    return key


def replace_file(path: Path, octets: bytes) -> None:
    """Write the file completely or not at all; only its owner can read it. Raises OSError."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> list[str]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise StateUnusable(f"{path}: {error}; move it away to begin anew") from None
    names = content.get("names") if isinstance(content, dict) and content.get("version") == 1 else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StateUnusable(f"{path}: not a state file of this version; move it away to begin anew")
    return names


def append_line(path: Path, line: bytes) -> None:
    """Append it to a file that only we may read, whole or not at all. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        before = os.fstat(descriptor).st_size
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)
