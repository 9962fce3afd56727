"""A log file that is rotated by size. Rotation loses no line; if it isn't possible, the file just grows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

FILE_MODE = 0o640  # S4: the administrators' group may read
FOLDER_MODE = 0o750
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_MOST_KEPT = 9_999  # where "all" ends


class RotatingFile:
    """Writes whole lines, in order. Not thread-safe: it is the outlet of a LineWriter.

    If somebody else moves the file away (logrotate) or truncates it, it is begun again.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_size: int,
        max_files: int,
        rotation_failed: Callable[[str], None] = lambda problem: None,
    ) -> None:
        """`max_size`: octets; `max_files`: how many older files are kept, 0 for all. Raises OSError."""
        self._path = path
        self._max_size = max_size
        self._max_files = max_files or _MOST_KEPT
        self._rotation_failed = rotation_failed
        self._rotates = True
        _make_folder(path.parent)
        self._descriptor = _open(path)

    def write(self, lines: Sequence[bytes]) -> int:
        """All or none: a file without room is cut back to its last whole line."""
        octets = b"".join(lines)
        size = self._follow()
        if size and size + len(octets) > self._max_size:
            size = self._turn_over(size)
        written = 0
        try:
            while written < len(octets):
                written += os.write(self._descriptor, octets[written:])
        except OSError:
            if written:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, size)
            raise
        return len(lines)

    def close(self) -> None:
        os.close(self._descriptor)

    def _follow(self) -> int:
        """The size of the file that is at the path now."""
        mine = os.fstat(self._descriptor)
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        if there is not None and (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev):
            return mine.st_size
        self._reopen()
        return os.fstat(self._descriptor).st_size

    def _reopen(self) -> None:
        new = _open(self._path)
        os.close(self._descriptor)
        self._descriptor = new

    def _turn_over(self, size: int) -> int:
        """path → path.1 → path.2 …; the size of the file afterwards."""
        try:
            self._shift()
            self._reopen()
        except OSError as error:
            # A line that is written beats a limit that is kept.
            if self._rotates:
                self._rotation_failed(error.strerror or type(error).__name__)
            self._rotates = False
            return size
        self._rotates = True
        return 0

    def _shift(self) -> None:
        taken = 0
        while taken < self._max_files and self._numbered(taken + 1).exists():
            taken += 1
        for number in range(min(taken, self._max_files - 1), 0, -1):
            self._numbered(number).replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(mode=FOLDER_MODE, parents=True)
    folder.chmod(FOLDER_MODE)  # whatever the umask took


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, _FLAGS | os.O_EXCL, FILE_MODE)
    except FileExistsError:
        return os.open(path, _FLAGS)
    os.fchmod(descriptor, FILE_MODE)
    return descriptor
