"""pamtester beside a daemon that a PAM module asks; pam_wrapper shows it a service of ours."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.system.parts.needs import missing, needs, needs_library
from tests.system.parts.process import Process


class PamTester:
    """`auth`: the module that its service has, with options."""

    def __init__(self, folder: Path, auth: str) -> None:
        self._program = needs("pamtester", "pamtester")
        self._wrapper = needs_library("libpam_wrapper.so", "libpam-wrapper")
        if os.geteuid() != 0:
            missing("the daemon's files are in a mount namespace, which takes root")
        self._services = folder / "pam.d"
        self._services.mkdir()
        for name in ("parts", "other"):
            (self._services / name).write_text(f"auth required {auth}\naccount required pam_permit.so\n")

    def login(self, daemon: Process, user: str, password: str) -> bool:
        """In the mount namespace of this daemon."""
        done = subprocess.run(
            ("nsenter", "-m", "-t", str(daemon.pid), self._program, "parts", user, "authenticate"),
            input=password + "\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ
            | {
                "PAM_WRAPPER": "1",
                "PAM_WRAPPER_SERVICE_DIR": str(self._services),
                "LD_PRELOAD": str(self._wrapper),
            },
        )
        text = done.stdout + done.stderr
        assert ("successfully authenticated" in text) is (done.returncode == 0), text
        assert done.returncode == 0 or "Authentication failure" in text, text
        return done.returncode == 0
