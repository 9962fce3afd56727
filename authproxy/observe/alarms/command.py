"""Gives an alarm to a program on standard input: without a shell, and nothing of it in arguments or
environment (S1).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from authproxy.observe.alarms.hook import NotDelivered

PATIENCE = 10.0  # seconds that it may run
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Command:
    """Runs the program once for each alarm. If it takes too long, it is killed with everything that it started."""

    name = "command"
    # What it did before it failed isn't known, so it isn't run again.
    pauses: Sequence[float] = ()

    def __init__(self, argv: Sequence[str], *, patience: float = PATIENCE) -> None:
        """`argv`: an absolute path, and the arguments."""
        self._argv = list(argv)
        self._patience = patience

    def deliver(self, octets: bytes) -> None:
        """Raises NotDelivered."""
        program = self._argv[0]
        try:
            process = subprocess.Popen(  # noqa: S603 - as configured, without a shell
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        except OSError as error:
            raise NotDelivered(f"{program}: {error.strerror}") from None
        try:
            with contextlib.suppress(BrokenPipeError):  # it needn't read
                process.communicate(octets, self._patience)
        except subprocess.TimeoutExpired:
            raise NotDelivered(f"{program}: killed after {self._patience:g} s") from None
        finally:
            _end(process)
        if process.returncode:
            raise NotDelivered(f"{program}: exit code {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started and left behind: it was given a process group of its own."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
