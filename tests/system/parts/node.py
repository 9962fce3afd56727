"""node, with modules of Debian's or of npm's (`.ci/setup npm`)."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from tests.system.parts.needs import missing, needs


@dataclass(frozen=True, slots=True)
class Origin:
    """`path`: where node finds modules. `install`: the command that brings one there, as `{}`."""

    path: str
    install: str


DEBIAN = Origin("/usr/share/nodejs:/usr/lib/nodejs", "apt-get install node-{}")
NPM = Origin(f"{sys.prefix}/npm/node_modules", ".ci/setup npm")


class NodeScript:
    """A program that uses this module; a test without it skips, and fails when CI=true."""

    def __init__(self, program: str, module: str, origin: Origin) -> None:
        self._node = needs("node", "nodejs")
        self._program = program
        self._env = os.environ | {"NODE_PATH": origin.path}
        if self._run("require(process.argv[1])", module).returncode:
            missing(f"node's {module} is not installed: {origin.install.format(module)}")

    def run(self, *arguments: str) -> str:
        """What it prints."""
        done = self._run(self._program, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (self._node, "-e", program, *arguments),
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
