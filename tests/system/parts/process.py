"""A server's process: started, waited for, ended by its pid."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class NotStarted(Exception):
    """With the end of its log."""


class Process:
    """Runs in a session of its own; both its streams go to a file."""

    def __init__(self, command: Sequence[str], log: Path, env: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as stream:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=os.environ | (env or {}),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait_for_port(self, address: str, port: int, timeout: float = 30) -> None:
        """Until somebody accepts there. Raises NotStarted when the process ends first, or time is up."""
        until = time.monotonic() + timeout
        while True:
            if self._popen.poll() is not None:
                raise NotStarted(f"ended with {self._popen.returncode}:\n{self._tail()}")
            with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
                return
            if time.monotonic() > until:
                raise NotStarted(f"nobody on {address}:{port} after {timeout} s:\n{self._tail()}")
            time.sleep(0.02)

    def wait_for_text(self, text: str, timeout: float = 30) -> None:
        """Until its log has it. Raises NotStarted when the process ends first, or time is up."""
        until = time.monotonic() + timeout
        while text not in self.log.read_text(errors="replace"):
            if self._popen.poll() is not None or time.monotonic() > until:
                raise NotStarted(f"never said {text!r}:\n{self._tail()}")
            time.sleep(0.02)

    def stop(self, timeout: float = 10) -> None:
        """SIGTERM, and SIGKILL for the whole session when that isn't enough."""
        self._popen.terminate()
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(10)

    def pause(self) -> None:
        """It accepts connections (the kernel does), and answers nothing."""
        os.killpg(self._popen.pid, signal.SIGSTOP)
        # A thread on another processor goes on for a moment.
        until = time.monotonic() + 10
        while not self._stands_still():
            assert time.monotonic() < until, "it doesn't stop"
            time.sleep(0.001)

    def resume(self) -> None:
        os.killpg(self._popen.pid, signal.SIGCONT)

    def _stands_still(self) -> bool:
        tasks = Path(f"/proc/{self._popen.pid}/task").glob("*/stat")
        return all(task.read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


@dataclass(frozen=True, slots=True)
class Watched:
    """`found`: which text came first, '' for none of them."""

    found: str
    text: str


def watch(command: Sequence[str], wanted: Sequence[str], timeout: float = 90) -> Watched:
    """Until a program prints one of these texts, or ends, or takes too long; then it is ended."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    until, said = time.monotonic() + timeout, b""
    try:
        while (left := until - time.monotonic()) > 0 and select.select([process.stdout], [], [], left)[0]:
            heard = os.read(process.stdout.fileno(), 65536)
            said += heard
            found = [text for text in wanted if text.encode() in said]
            if found or not heard:
                return Watched("".join(found[:1]), said.decode("utf-8", "replace"))
        return Watched("", said.decode("utf-8", "replace"))
    finally:
        process.stdout.close()
        process.terminate()
        process.wait(10)


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def free_address(*ports: int) -> str:
    """A 127/8 address on which these ports are free, for servers that can't be given others."""
    start = os.getpid() % 250
    for offset in range(250):
        address = f"127.0.{100 + start % 100}.{(start + offset) % 250 + 2}"
        if all(_is_free(address, port) for port in ports):
            return address
    raise NotStarted(f"no loopback address has {ports} free")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
