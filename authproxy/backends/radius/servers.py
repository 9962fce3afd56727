"""The servers of a `radius_client`: the next one is asked only after silence, never after a refusal (A5, R37)."""

from __future__ import annotations

from typing import Any

from authproxy.backends.radius.liveness import Silent
from authproxy.backends.radius.server import Build, Server
from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.radius.tls_server import TlsServer
from authproxy.backends.resolve import NameUnresolved, Resolver
from authproxy.backends.tls import ServerCertificates, client_tls
from authproxy.observe.log import Log
from authproxy.protocols.radius.packet import Packet
from authproxy.values import light_dataclass

# With another server to turn to, a silent one is not waited for to the end.
_SENDS_WITH_OTHERS = 2

AnyServer = Server | TlsServer


@light_dataclass(frozen=True, slots=True)
class ServerReport:
    """`problem` is "" if the server answered. Many servers don't support Status-Server, so silence proves nothing."""

    server: str
    problem: str
    seconds: float


class Servers:
    """Each is kept with what is known of it for as long as this lives."""

    def __init__(
        self,
        settings: RadiusClientSettings,
        *,
        reactor: Any,
        resolver: Resolver,
        log: Log,
        certificates: ServerCertificates | None = None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._resolver = resolver
        self._log = log
        self._certificates = certificates
        self._servers: dict[tuple[str, str, int], AnyServer] = {}

    async def ask(self, build: Build, deadline: float) -> tuple[Packet, Packet]:
        """The reply, and the request that it answers. `deadline`: the reactor's seconds.

        Raises Silent: no server answered, or no time was left to ask one.
        """
        problems: list[str] = []
        servers = await self._candidates(deadline, problems)
        for index, server in enumerate(servers):
            last = index + 1 == len(servers)
            sends = 1 + self._settings.retries
            try:
                return await server.ask(
                    build, sends=sends if last else min(sends, _SENDS_WITH_OTHERS), deadline=deadline
                )
            except Silent as silent:
                problems.append(str(silent))
        raise Silent("; ".join(problems) or "no server")

    def close(self) -> None:
        """Pending requests fail with Silent."""
        for server in self._servers.values():
            server.close()

    async def examine(self, timeout: float) -> list[ServerReport]:
        """Ask each server by Status-Server (RFC 5997), `timeout` seconds each. No user's password is tried."""
        problems: list[str] = []
        servers = await self._candidates(self._reactor.seconds() + timeout, problems)
        unresolved = [ServerReport(problem, problem, 0.0) for problem in problems]
        return [*unresolved, *[await self._examine(server, timeout) for server in servers]]

    async def _examine(self, server: AnyServer, timeout: float) -> ServerReport:
        began, problem = self._reactor.seconds(), ""
        try:
            await server.probe(timeout)
        except Silent as silent:
            problem = str(silent)
        return ServerReport(str(server), problem, self._reactor.seconds() - began)

    def health(self) -> list[tuple[str, float | None]]:
        """Each server, and since when it is dead (the reactor's seconds)."""
        return [(str(server), server.dead_since) for server in self._servers.values()]

    # ---- whom to ask

    async def _candidates(self, deadline: float, problems: list[str]) -> list[AnyServer]:
        """Those that live, in the configured order; then, when all else fails, the dead."""
        found: list[AnyServer] = []
        for host, port in self._settings.hosts:
            try:
                addresses = self._resolver.at_hand(host) or await self._resolver.addresses(
                    host, max(0.0, deadline - self._reactor.seconds())
                )
            except NameUnresolved as unresolved:
                problems.append(str(unresolved))
                continue
            found += [self._server(host, address, port) for address in addresses]
        if len(found) > 1:
            found.sort(key=lambda server: not server.is_alive())
        return found

    def _server(self, host: str, address: str, port: int) -> AnyServer:
        # Over TLS a server is also the name that it has to prove.
        key = (host if self._settings.trust is not None else "", address, port)
        known = self._servers.get(key)
        if known is None:
            known = self._servers[key] = self._new_server(host, address, port)
        return known

    def _new_server(self, host: str, address: str, port: int) -> AnyServer:
        settings = self._settings
        if (trust := settings.trust) is not None:
            return TlsServer(
                address,
                port,
                settings.secret,
                tls=lambda: client_tls(settings.tls_name or host, trust, self._certificates),
                retry_wait=settings.retry_wait,
                reactor=self._reactor,
                log=self._log,
            )
        return Server(
            address,
            port,
            settings.secret,
            require_message_authenticator=settings.require_message_authenticator,
            retry_wait=settings.retry_wait,
            reactor=self._reactor,
            log=self._log,
        )
