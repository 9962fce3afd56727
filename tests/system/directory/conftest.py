"""Directories for a whole session, and a client of each as a test wants it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.memberships import GroupingDirectory, Memberships
from authproxy.backends.directory.settings import DirectorySettings
from authproxy.backends.resolve import Resolver
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import Refused, Verified
from authproxy.secret import Secret
from tests.pipeline.fakes import request
from tests.system.parts.samba import Samba
from tests.system.parts.slapd import Slapd


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("slapd"), users=10_000) as running:
        yield running


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    with Samba(tmp_path_factory.mktemp("samba")) as running:
        yield running


class Client:
    """A Directory, asked from the test's thread."""

    def __init__(self, reactor: Any, on_reactor: Any, settings: DirectorySettings) -> None:
        self._reactor, self._on_reactor = reactor, on_reactor
        self._resolver = Resolver(reactor, log=NullLog())
        self.directory: Directory = on_reactor(
            lambda: Directory(settings, reactor=reactor, resolver=self._resolver, log=NullLog())
        )

    def grouping(self, groups: Collection[str]) -> GroupingDirectory:
        return GroupingDirectory(self.directory, Memberships(groups, clock=self._reactor.seconds))

    def verify(
        self,
        username: str,
        password: str | bytes,
        timeout: float = 30,
        groups: Collection[str] = (),
        primary: GroupingDirectory | None = None,
    ) -> Verified | Refused:
        asked_of: Directory | GroupingDirectory = primary or (
            self.grouping(groups) if groups else self.directory
        )
        octets = password if isinstance(password, bytes) else password.encode()

        async def ask() -> Verified | Refused:
            asked = request(octets, username, deadline=self._reactor.seconds() + timeout)
            return await asked_of.verify(asked, Secret(octets))

        return self._on_reactor(ask)  # type: ignore[no-any-return]

    def together(self, logins: list[tuple[str, str]], timeout: float = 60) -> list[Verified | Refused]:
        """All at once."""
        from twisted.internet.defer import Deferred, gatherResults

        async def ask(username: str, password: str) -> Verified | Refused:
            asked = request(password.encode(), username, deadline=self._reactor.seconds() + timeout)
            return await self.directory.verify(asked, Secret.of(password))

        def begin() -> Any:
            return gatherResults([Deferred.fromCoroutine(ask(*login)) for login in logins])

        return self._on_reactor(begin)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._on_reactor(self.directory.close)
        self._resolver.close()


@pytest.fixture
def client(reactor_thread: Any, on_reactor: Any) -> Iterator[Callable[[DirectorySettings], Client]]:
    made: list[Client] = []

    def make(settings: DirectorySettings) -> Client:
        made.append(Client(reactor_thread, on_reactor, settings))
        return made[-1]

    yield make
    for each in made:
        each.close()
