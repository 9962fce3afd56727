"""A disk of its own, so small that a test can fill it: a tmpfs on a folder."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Self

import pytest


class SmallDisk:
    """`with SmallDisk(folder, 2 * 1024 * 1024) as disk: …`. What it takes to mount one is root, or sudo without a
    password; a test without skips, and fails when CI=true."""

    def __init__(self, folder: Path, octets: int) -> None:
        self._folder = folder
        self._octets = octets
        self._filler = folder / "filler"
        self._root = [] if os.geteuid() == 0 else ["sudo", "-n"]

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = f"size={self._octets},uid={os.geteuid()},gid={os.getegid()},mode=0700"
        done = self._run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._folder))
        if done.returncode:
            reason = f"no tmpfs can be mounted here: {done.stderr.strip()}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        return self

    def __exit__(self, *_: object) -> None:
        self._run("umount", "-l", str(self._folder))

    def fill(self) -> None:
        """To the last octet."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (65_536, 4_096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as full:
                    if full.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        self._filler.unlink()

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._root, *command], capture_output=True, text=True, timeout=20, check=False
        )
