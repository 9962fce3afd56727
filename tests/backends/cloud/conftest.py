"""A cloud under test on the real reactor, and a scripted server at its other end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from authproxy.backends.cloud.cloud import Cloud
from authproxy.backends.cloud.pool import PoolLimits
from authproxy.backends.cloud.proven import Proven
from authproxy.backends.cloud.settings import CloudSettings
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import ServerCertificates, Trust
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import CloudFailure, FactorCall
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.workload import Workload
from authproxy.secret import Secret
from tests.backends.certificates import Authority, server_context
from tests.backends.cloud.scripted import HOST, Scripted
from tests.pipeline.fakes import request

IKEY = "DIXXXXXXXXXXXXXXXXXX"
SKEY = Secret(b"deadbeef" * 5)
PUSH = FactorCall("push", device="DP1")


@dataclass
class Events(NullLog):
    """Remembers what was logged, and every text of it."""

    seen: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    bugs: list[BaseException] = field(default_factory=list)

    def info(self, event: str, /, **fields: object) -> None:
        self.seen.append((event, fields))

    warn = error = info

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        self.bugs.append(error)

    def names(self) -> list[str]:
        return [event for event, _ in self.seen]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def server(authority: Authority) -> Iterator[Scripted]:
    scripted = Scripted(server_context(authority.issue(HOST)))
    yield scripted
    scripted.close()
    assert not scripted.problems


@dataclass
class Asked:
    """A cloud and how to call it from a test: each call runs on the reactor, and is waited for."""

    cloud: Cloud
    log: Events
    proven: Proven
    reactor: Any
    run: Callable[..., Any]
    certificates: ServerCertificates
    workload: Workload

    def request(self, seconds: float = 20.0, **changes: Any) -> AuthRequest:
        return request(deadline=self.reactor.seconds() + seconds, **changes)

    def preauth(self, username: str = "alice", seconds: float = 20.0, **changes: Any) -> Any:
        return self.run(self.cloud.preauth, self.request(seconds, **changes), username)

    def auth(
        self, call: FactorCall = PUSH, username: str = "alice", seconds: float = 20.0, **changes: Any
    ) -> Any:
        return self.run(self.cloud.auth, self.request(seconds, **changes), username, call)

    def failure(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> CloudFailure:
        with pytest.raises(CloudFailure) as failed:
            function(*args, **kwargs)
        assert not self.log.bugs
        return failed.value


Make = Callable[..., Asked]


@pytest.fixture
def make(reactor_thread: Any, on_reactor: Callable[..., Any], authority: Authority) -> Iterator[Make]:
    """make(port, **changes to the settings): a cloud that calls localhost there."""
    made: list[tuple[Cloud, Resolver]] = []

    def build(
        port: int, *, lookup: Any = None, wall_clock: Any = None, known: Any = None, **changes: Any
    ) -> Asked:
        log, certificates, workload = Events(), ServerCertificates(), Workload()
        limits = PoolLimits(connect_seconds=1.0)
        fields: dict[str, Any] = {
            "section": "vpn",
            "host": HOST,
            "port": port,
            "ikey": IKEY,
            "skey": SKEY,
            "trust": Trust(ca_file=authority.ca),
            "allow_local": True,
            "preauth_seconds": 2.0,
            "limits": limits,
        }
        settings = CloudSettings(**(fields | changes))

        def on_the_reactor() -> tuple[Cloud, Resolver, Proven]:
            resolver = Resolver(reactor_thread, log=log, **({} if lookup is None else {"lookup": lookup}))
            proven = Proven(settings, known=set() if known is None else known, key=b"k" * 32, log=log)
            clock = {} if wall_clock is None else {"wall_clock": wall_clock}
            cloud = Cloud(
                settings,
                reactor=reactor_thread,
                resolver=resolver,
                log=log,
                proven=proven,
                certificates=certificates,
                workload=workload,
                **clock,
            )
            return cloud, resolver, proven

        cloud, resolver, proven = on_reactor(on_the_reactor)
        made.append((cloud, resolver))
        return Asked(cloud, log, proven, reactor_thread, on_reactor, certificates, workload)

    yield build
    for cloud, resolver in made:
        on_reactor(cloud.close)
        on_reactor(resolver.close)


@pytest.fixture
def other_authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "other", "Other CA")
