"""What all tests share: a real reactor in a thread of its own, for code that needs real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from twisted.internet import reactor as _reactor
from twisted.internet import threads
from twisted.internet.defer import Deferred

from authproxy import values

values.frozen_at_run_time = True  # what mypy doesn't see
T = TypeVar("T")
reactor: Any = _reactor


# How long an example takes says something about the machine, and nothing about what is tested.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """localhost is loopback (RFC 6761 §6.3), also where no /etc/hosts says so: in a bare chroot."""
    try:
        socket.getaddrinfo("localhost", 0)
    except socket.gaierror:
        resolve = socket.getaddrinfo

        def resolve_localhost(host: Any, *more: Any, **options: Any) -> Any:
            return resolve("127.0.0.1" if host in {"localhost", b"localhost"} else host, *more, **options)

        socket.getaddrinfo = resolve_localhost


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Some run when they are asked for: `pytest -m long`, `pytest -m slow`, `pytest -m nas`."""
    for marker in ("long", "slow", "nas"):
        if marker not in config.option.markexpr:
            items[:] = [item for item in items if item.get_closest_marker(marker) is None]


@pytest.fixture(scope="session")
def reactor_thread() -> Iterator[Any]:
    """The reactor, running in a thread until the session ends."""
    started = threading.Event()
    reactor.callWhenRunning(started.set)
    thread = threading.Thread(target=lambda: reactor.run(installSignalHandlers=False), daemon=True)
    thread.start()
    assert started.wait(10)
    yield reactor
    reactor.callFromThread(reactor.stop)
    thread.join(10)


@pytest.fixture
def on_reactor(reactor_thread: Any) -> Callable[..., Any]:
    """on_reactor(function, *args): run a coroutine function (or a plain one) in the reactor, wait for its result."""

    def run(function: Callable[..., Coroutine[Any, Any, T] | T], *args: Any, **kwargs: Any) -> T:
        def begin() -> Any:
            made = function(*args, **kwargs)
            return Deferred.fromCoroutine(made) if isinstance(made, Coroutine) else made

        return threads.blockingCallFromThread(reactor_thread, begin)

    return run
