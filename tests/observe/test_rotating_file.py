"""A14, S4: rotation loses no line; a disk that fills leaves whole lines; files are private."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authproxy.observe.rotating_file import RotatingFile


def made(path: Path, max_size: int = 100, max_files: int = 2, **changes: object) -> RotatingFile:
    return RotatingFile(path, max_size=max_size, max_files=max_files, **changes)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_turns_over_by_size(tmp_path: Path) -> None:
    file = made(tmp_path / "a.log")
    for number in range(10):
        file.write([b"%d" % number * 39 + b"\n"])
    assert names(tmp_path) == ["a.log", "a.log.1", "a.log.2"]
    read = [(tmp_path / name).read_bytes()[:1] for name in ("a.log", "a.log.1", "a.log.2")]
    assert read == [b"8", b"6", b"4"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    file.close()


@given(st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=5), max_size=30), st.integers(1, 100))
@settings(deadline=None, max_examples=50)
def test_no_line_is_lost_or_torn(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], most: int
) -> None:
    folder = tmp_path_factory.mktemp("rotation")
    file = made(folder / "a.log", max_size=most, max_files=0)
    lines = []
    for batch in batches:
        octets = [b"%04d" % (len(lines) + at) + b"x" * length + b"\n" for at, length in enumerate(batch)]
        lines += octets
        assert file.write(octets) == len(octets)
    file.close()
    count = len(names(folder))
    order = [folder / f"a.log.{number}" for number in range(count - 1, 0, -1)] + [folder / "a.log"]
    assert b"".join(path.read_bytes() for path in order) == b"".join(lines)


def test_modes_hold_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        file = made(tmp_path / "new" / "log" / "a.log")
    finally:
        os.umask(before)
    file.close()
    assert stat.S_IMODE((tmp_path / "new" / "log" / "a.log").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "new" / "log").stat().st_mode) == 0o750


def test_a_moved_or_truncated_file_is_followed(tmp_path: Path) -> None:
    """logrotate, with and without copytruncate."""
    path = tmp_path / "a.log"
    file = made(path, max_size=1000)
    file.write([b"one\n"])
    path.rename(tmp_path / "elsewhere")
    file.write([b"two\n"])
    assert path.read_bytes() == b"two\n"
    assert (tmp_path / "elsewhere").read_bytes() == b"one\n"
    os.truncate(path, 0)
    file.write([b"three\n"])
    assert path.read_bytes() == b"three\n"
    file.close()


FILL = """
import resource, signal, sys
from pathlib import Path
from authproxy.observe.rotating_file import RotatingFile

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = RotatingFile(Path(sys.argv[1]), max_size=10_000, max_files=2)
file.write([b"whole\\n"])
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    file.write([b"torn apart\\n"])
except OSError as error:
    print(error.strerror)
"""


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """A file that may not grow is what a full disk is to its writer: a write that is cut, then one that fails."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, tmp_path / "a.log"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "File too large\n"
    assert (tmp_path / "a.log").read_bytes() == b"whole\n"


def test_a_rotation_that_fails_keeps_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    file = made(tmp_path / "a.log", max_size=10, rotation_failed=said.append)

    def refused(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refused)
        for _ in range(3):
            file.write([b"0123456789\n"])
    assert said == ["Permission denied"]
    assert (tmp_path / "a.log").read_bytes() == b"0123456789\n" * 3
    file.write([b"next\n"])
    assert (tmp_path / "a.log").read_bytes() == b"next\n"
    file.close()


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "a.log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic"):
        made(tmp_path / "a.log")
