"""A login asked of RADIUS servers: the next one only on silence, never after a no (A5, R37)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from authproxy.backends.radius.liveness import Silent
from authproxy.backends.radius.server import Build, Server
from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.radius.tls_server import TlsServer
from authproxy.backends.resolve import NameUnresolved, Resolver
from authproxy.backends.tls import ServerCertificates, client_tls
from authproxy.observe.log import Log
from authproxy.pipeline.ports import PrimaryChallenge, PrimaryUnavailable, Refused, Verified
from authproxy.pipeline.request import AuthRequest
from authproxy.protocols.radius.packet import (
    REPLY_MESSAGE,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    Attribute,
    Code,
    Packet,
)
from authproxy.protocols.radius.password import MAX_PASSWORD, CredentialKind, encrypt_password
from authproxy.protocols.radius.relay import (
    NAS_IDENTIFIER,
    NAS_IP_ADDRESS,
    NAS_IPV6_ADDRESS,
    FromNas,
    FromPrimary,
    towards_primary,
)
from authproxy.protocols.radius.request import signed_request
from authproxy.protocols.radius.salted import Hop
from authproxy.secret import Secret

# With another server to turn to, a silent one is not waited for to the end.
_SENDS_WITH_OTHERS = 2
# RFC 2759 §6 in MS-CHAP-Error: E=648, the password has expired; E=649, no dialin; E=691, wrong.
_MSCHAP_ERROR = re.compile(rb"E=(\d{3})")
_MSCHAP_CAUSES = {
    b"646": "time_restricted",
    b"647": "disabled",
    b"648": "expired",
    b"649": "not_permitted",
    b"691": "bad_password",
    b"709": "bad_new_password",
}


@dataclass(frozen=True, slots=True)
class ServerReport:
    """`problem` is "" when the server answered. Many don't speak Status-Server: silence proves nothing."""

    server: str
    problem: str
    seconds: float


AnyServer = Server | TlsServer


class RadiusPrimary:
    """Implements the pipeline's Primary."""

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

    async def verify(self, request: AuthRequest, password: Secret) -> Verified | Refused | PrimaryChallenge:
        """Raises PrimaryUnavailable: every server was silent, or there was no time left to ask one."""
        # Another proof than a password is as long as it is.
        if not request.opaque and len(password) > MAX_PASSWORD:
            return Refused("password_too_long")
        build = self._builder(request, password)
        problems: list[str] = []
        servers = await self._candidates(request.deadline, problems)
        for index, server in enumerate(servers):
            last = index + 1 == len(servers)
            sends = 1 + self._settings.retries
            try:
                reply, asked = await self._ask(
                    server, build, sends if last else min(sends, _SENDS_WITH_OTHERS), request.deadline
                )
            except Silent as silent:
                problems.append(str(silent))
                continue
            return self._understand(request, reply, asked)
        raise PrimaryUnavailable("; ".join(problems) or "no server")

    def start(self) -> None:
        """Nothing is asked before somebody logs in."""

    async def close(self) -> None:
        for server in self._servers.values():
            server.close()

    async def examine(self, timeout: float) -> list[ServerReport]:
        """Each server in turn, by Status-Server (RFC 5997): `timeout` seconds each. Nobody's password is tried."""
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
                addresses = await self._resolver.addresses(host, max(0.0, deadline - self._reactor.seconds()))
            except NameUnresolved as unresolved:
                problems.append(str(unresolved))
                continue
            found += [self._server(host, address, port) for address in addresses]
        return sorted(found, key=lambda server: not server.is_alive())

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

    async def _ask(
        self, server: AnyServer, build: Build, sends: int, deadline: float
    ) -> tuple[Packet, Packet]:
        """The reply, and the request that it answers."""
        sent: list[Packet] = []

        def kept(identifier: int, authenticator: bytes, own_address: str) -> Packet:
            packet = build(identifier, authenticator, own_address)
            sent.append(packet)
            return packet

        # Over TLS it may have been made anew for another connection; what is answered is what was sent last.
        reply = await server.ask(kept, sends=sends, deadline=deadline)
        return reply, sent[-1]

    # ---- the request

    def _builder(self, request: AuthRequest, password: Secret) -> Build:
        asked = request.carried
        if not isinstance(asked, FromNas):
            raise TypeError("a RADIUS primary answers RADIUS requests")
        secret = self._settings.secret
        name = Attribute(USER_NAME, asked.packet.first(USER_NAME) or b"")
        carried = towards_primary(asked)

        def build(identifier: int, authenticator: bytes, own_address: str) -> Packet:
            login = [name]
            if asked.kind is CredentialKind.PAP:
                # R30: hidden anew for this hop.
                login.append(Attribute(USER_PASSWORD, encrypt_password(password, secret, authenticator)))
            return signed_request(
                Code.ACCESS_REQUEST,
                [*login, *carried, *self._ourselves(carried, own_address)],
                identifier=identifier,
                authenticator=authenticator,
                secret=secret,
            )

        return build

    def _ourselves(self, carried: list[Attribute], own_address: str) -> list[Attribute]:
        """RFC 2865 §4.1: a request has NAS-IP-Address or NAS-Identifier; ours, unless the NAS's own goes over."""
        types = {attribute.type for attribute in carried}
        ourselves: list[Attribute] = []
        if not types & {NAS_IP_ADDRESS, NAS_IPV6_ADDRESS}:
            address = ip_address((self._settings.nas_ip or own_address).partition("%")[0])
            type = NAS_IP_ADDRESS if address.version == 4 else NAS_IPV6_ADDRESS
            ourselves.append(Attribute(type, address.packed))
        if self._settings.nas_identifier and NAS_IDENTIFIER not in types:
            ourselves.append(Attribute(NAS_IDENTIFIER, self._settings.nas_identifier.encode()))
        return ourselves

    # ---- the answer

    def _understand(
        self, request: AuthRequest, reply: Packet, asked: Packet
    ) -> Verified | Refused | PrimaryChallenge:
        settings = self._settings
        answered = FromPrimary(
            reply, Hop(settings.secret, asked.authenticator), settings.returned, settings.hidden
        )
        message = _message(reply)
        match reply.code:
            case Code.ACCESS_ACCEPT:
                return Verified(request.username.canonical, carried=answered)
            case Code.ACCESS_CHALLENGE:
                return PrimaryChallenge(message, reply.first(STATE) or b"", answered)
            case _:
                return Refused(_cause(reply), message=message, carried=answered)


def _message(reply: Packet) -> str:
    return b"".join(reply.all(REPLY_MESSAGE)).decode("utf-8", "replace")


def _cause(reply: Packet) -> str:
    """The audit's word for a Reject. Plain RADIUS doesn't say why."""
    for value in reply.all(26):
        if value[:5] == b"\0\0\x01\x37\x02" and (found := _MSCHAP_ERROR.search(value)):
            return _MSCHAP_CAUSES.get(found[1], "rejected")
    return "rejected"
