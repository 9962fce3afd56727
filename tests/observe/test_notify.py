"""sd_notify(3), with the service manager played by a socket."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from authproxy.observe.notify import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@authproxy-test-{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0") if name.startswith("@") else name)
        sock.settimeout(5)
        yield sock, name


def test_what_it_is_told(manager: tuple[socket.socket, str]) -> None:
    sock, name = manager
    service = ServiceManager.from_environment({"NOTIFY_SOCKET": name})
    service.ready("on 127.0.0.1:1812\nREADY=0")
    assert sock.recv(1000) == b"READY=1\nSTATUS=on 127.0.0.1:1812 READY=0"
    service.reloading()
    assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", sock.recv(1000))
    service.ping()
    assert sock.recv(1000) == b"WATCHDOG=1"
    service.status("2 logins pending")
    assert sock.recv(1000) == b"STATUS=2 logins pending"
    service.stopping("draining 3 logins", 90.5)
    assert sock.recv(1000) == b"STOPPING=1\nSTATUS=draining 3 logins\nEXTEND_TIMEOUT_USEC=90500000"
    service.close()


def test_nobody_asked(tmp_path: Path) -> None:
    service = ServiceManager.from_environment({})
    service.ready("fine")
    assert service.watchdog_interval is None
    gone = ServiceManager(str(tmp_path / "gone"))
    gone.ready("fine")
    gone.ping()


def test_a_manager_that_does_not_read_holds_nothing_up(manager: tuple[socket.socket, str]) -> None:
    _, name = manager
    service = ServiceManager(name)
    for _ in range(10_000):
        service.ping()
    service.close()


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog(environment: dict[str, str], interval: float | None) -> None:
    assert ServiceManager.from_environment(environment, pid=42).watchdog_interval == interval
