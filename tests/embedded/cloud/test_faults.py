"""A service that misbehaves, made so from outside: how clients take it, and that no start sets it."""

from __future__ import annotations

import ast
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

import authproxy
from authproxy.embedded.cloud.web import Answer, Call, Handler, Reply, Stream

from .running import Running


@dataclass
class Fault:
    """For the next `times` calls of the API."""

    times: int = 0
    delay: float = 0.0
    status: int = 0
    truncated: bool = False


class Faults:
    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.now = Fault()

    def around(self, handler: Handler) -> Handler:
        async def wrapped(call: Call) -> Answer:
            if not call.path.startswith("/auth/v2") or not self.now.times:
                return await handler(call)
            self.now.times -= 1
            if self.now.delay:
                await deferLater(self._reactor, self.now.delay)
            if self.now.status:
                return Reply(self.now.status, b"<h1>gateway</h1>", "text/html", (("Retry-After", "1"),))
            answer = await handler(call)
            return Stream(_half(answer)) if self.now.truncated and isinstance(answer, Reply) else answer

        return wrapped


async def _half(reply: Reply) -> AsyncIterator[bytes]:
    yield reply.body[: len(reply.body) // 2]
    raise RuntimeError("cut here, as told")


@pytest.fixture
def faulty(reactor_thread: Any, tmp_path: Path) -> Iterator[tuple[Running, Faults]]:
    faults = Faults(reactor_thread)
    running = Running(reactor_thread, tmp_path, faults=faults.around)
    yield running, faults
    running.stop()


def test_slow_is_still_right(faulty: tuple[Running, Faults]) -> None:
    cloud, faults = faulty
    client = cloud.client(cloud.application())
    faults.now = Fault(1, delay=0.3)
    began = time.monotonic()
    assert client.check()
    assert time.monotonic() - began >= 0.3


def test_too_many_is_tried_again(faulty: tuple[Running, Faults]) -> None:
    cloud, faults = faulty
    client = cloud.client(cloud.application())
    faults.now = Fault(1, status=429)
    assert client.check()
    assert faults.now.times == 0


@pytest.mark.parametrize("fault", [Fault(1, status=503), Fault(1, truncated=True)])
def test_broken_is_an_error(faulty: tuple[Running, Faults], fault: Fault) -> None:
    cloud, faults = faulty
    client = cloud.client(cloud.application())
    cloud.user()
    faults.now = fault
    with pytest.raises(Exception, match=r"503|[Ii]ncomplete|JSON|Expecting|[Rr]esponse"):
        client.preauth(username="alice")
    assert client.preauth(username="alice")["result"] == "auth"


def test_a_clock_that_is_wrong_shows_in_ping(faulty: tuple[Running, Faults]) -> None:
    cloud, _ = faulty
    client = cloud.client(cloud.application())
    cloud.clock.ahead = 400
    with pytest.raises(RuntimeError, match="Bad request timestamp"):
        client.check()
    assert client.ping()["time"] - time.time() > 390


def test_no_start_sets_it() -> None:
    """Faults come in by one argument, and nothing that is installed gives it, so no option or file can."""
    starts = []
    for path in Path(authproxy.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("CloudService"):
                starts.append(path.name)
                assert all(keyword.arg not in {None, "around"} for keyword in node.keywords), path
    assert sorted(starts) == ["serve.py", "stage.py"]
