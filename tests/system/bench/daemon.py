"""The real daemon: `python -m authproxy run -c FILE` as a process, its output read as it comes."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

READY = re.compile(r"\bready\b")
ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9]{1,3}(?:\.[0-9]{1,3}){3}):([0-9]{1,5})")


# Below the range that the kernel draws from, so that no connection takes one meanwhile. Each worker has its own, and
# begins anywhere in it: somebody else may be running these tests, too.
# No time zone of the machine means anything: the daemon is three and a half hours away from everybody else.
ELSEWHERE = "NST3:30"
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def _ports_of(worker: int) -> Iterator[int]:
    first = 10_000 + 4_000 * (worker % 5)
    begin = first + os.getpid() * 61 % 4_000
    return itertools.cycle([*range(begin, first + 4_000), *range(first, begin)])


_ports = _ports_of(_worker)


def use_ports_of(worker: int) -> None:
    """For processes that no test runner has numbered."""
    global _ports  # noqa: PLW0603
    _ports = _ports_of(worker)


def free_port(address: str = "127.0.0.1") -> int:
    """A port that was free just now, for UDP and TCP alike, and that is given to nobody else for a long time."""
    for port in itertools.islice(_ports, 4_000):
        with contextlib.suppress(OSError), contextlib.ExitStack() as both:
            for one in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                found = both.enter_context(socket.socket(socket.AF_INET, one))
                found.bind((address, port))
            return port
    raise AssertionError("no port is free for both")


class Output:
    """A stream of the process: kept whole, waited for by line."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._octets = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while octets := self._stream.read1(65536):  # type: ignore[attr-defined]
            with self._changed:
                self._octets += octets
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._octets)

    @property
    def octets(self) -> bytes:
        with self._changed:
            return bytes(self._octets)

    @property
    def text(self) -> str:
        return self.octets.decode("utf-8", "replace")

    def wait(self, wanted: Callable[[str], bool], timeout: float) -> str:
        """The first line that is wanted."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                lines = bytes(self._octets).decode("utf-8", "replace").split("\n")[:-1]
                if (line := next(filter(wanted, lines), None)) is not None:
                    return line
                left = deadline - time.monotonic()
                over = self._ended or left <= 0
                assert not over, "no such line in:\n" + "\n".join(lines)
                self._changed.wait(left)

    def join(self, timeout: float = 10) -> None:
        """To the end of the stream."""
        self._thread.join(timeout)


@dataclass(frozen=True, slots=True)
class Got:
    """What the admin endpoint answered."""

    status: int
    body: bytes
    content_type: str

    @property
    def text(self) -> str:
        return self.body.decode()


class Daemon:
    """One start. `prefix`: a command that runs ours, such as prlimit or faketime."""

    def __init__(
        self,
        folder: Path,
        config: Path,
        *,
        admin: int | None = None,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        verb: Sequence[str] = ("run",),
    ) -> None:
        self.folder, self.config, self.admin = folder, config, admin
        self.env = environment(folder, env)
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "authproxy", *verb, "-c", str(config)],
            cwd=folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout = Output(self.process.stdout, "stdout")
        self.stderr = Output(self.process.stderr, "stderr")

    @property
    def pid(self) -> int:
        """Ours, also below a prefix that runs it as a child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                if b"authproxy" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        return self.process.pid

    def wait_ready(self, timeout: float = 30) -> list[tuple[str, int]]:
        """The addresses that it listens at, as it says itself (DESIGN section 5)."""
        line = self.stderr.wait(lambda line: READY.search(line) is not None, timeout)
        after = self.stderr.text.partition(line)[0] + line
        return [(host.strip("[]"), int(port)) for host, port in ADDRESS.findall(after)]

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def reload(self) -> None:
        self.signal(signal.SIGHUP)

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM; the exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        if self.running:
            self.signal(signal.SIGKILL)
        self.wait(10)

    def wait(self, timeout: float = 30) -> int:
        """The exit code, once it has ended by itself."""
        code = self.process.wait(timeout)
        self.stdout.join()
        self.stderr.join()
        return code

    def get(self, path: str, *, timeout: float = 10, tls: ssl.SSLContext | None = None) -> Got:
        """A page of `main.admin`. No proxy from the environment."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"http://127.0.0.1:{self.admin}{path}"
        try:
            with opener.open(url, timeout=timeout) as answer:
                return Got(answer.status, answer.read(), answer.headers.get("Content-Type", ""))
        except urllib.error.HTTPError as refused:
            return Got(refused.code, refused.read(), refused.headers.get("Content-Type", ""))

    def metrics(self) -> dict[str, float]:
        """Sample by name and labels, as Prometheus writes them."""
        samples: dict[str, float] = {}
        for line in self.get("/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels; 0 when there is none."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value
            for sample, value in self.metrics().items()
            if sample.partition("{")[0] == name and all(pair in sample for pair in wanted)
        )


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of ours but the path: what the daemon sees is what the test gives it."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return {
        "TZ": ELSEWHERE,
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(folder),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **(more or {}),
    }


def run(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 60, **more: Any
) -> subprocess.CompletedProcess[str]:
    """`python -m authproxy …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "authproxy", *arguments],
        check=False,
        cwd=folder,
        env=environment(folder, env),
        stdin=subprocess.DEVNULL if "input" not in more else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        **more,
    )
