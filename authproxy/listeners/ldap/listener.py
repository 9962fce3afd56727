"""One LDAP port: its connections, their limits, and what is done for them once a second."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred

from authproxy.listeners.address import plain_address
from authproxy.listeners.descriptors import Descriptors
from authproxy.listeners.ldap.connection import LdapClient
from authproxy.listeners.ldap.ports import Disconnects
from authproxy.listeners.ldap.section import LdapSection
from authproxy.observe.log import Log

Networks = Sequence[IPv4Network | IPv6Network]
_OF_A_CONNECTION = 2  # file descriptors: the client's and the directory's
_LOOK = 1.0  # seconds
_GRACE = 5.0  # seconds that operations in progress get when we stop
# Of each client's connection: no answer waits for another, and who has gone away without a word is noticed (A9).
_TCP = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (
        socket.IPPROTO_TCP,
        socket.TCP_USER_TIMEOUT,
        60_000,
    ),  # milliseconds that sent octets may stay unacknowledged
)


def prepare(listening: socket.socket) -> None:
    """Set socket options, which accepted connections inherit."""
    for level, option, value in _TCP:
        listening.setsockopt(level, option, value)


class LdapListener(protocol.ServerFactory):
    """`tls_at_once`: LDAPS; otherwise StartTLS, if the section has a certificate."""

    noisy = False

    def __init__(
        self,
        section: LdapSection,
        *,
        balancers: Networks,
        tls_at_once: bool,
        reactor: Any,
        log: Log,
        disconnects: Disconnects,
        descriptors: Descriptors | None = None,
    ) -> None:
        """`balancers`: the addresses whose connections begin with a PROXY header; nobody else's may."""
        self.section = section
        self.tls_at_once = tls_at_once
        self.reactor = reactor
        self.log = log
        self._draining_since: float | None = None
        self._balancers = balancers
        self._disconnects = disconnects
        self._descriptors = Descriptors() if descriptors is None else descriptors
        self._open: set[LdapClient] = set()
        self._by_address: Counter[str] = Counter()
        self._looking: Any = None
        self._drained: list[Deferred[None]] = []

    def serve(self, section: LdapSection, balancers: Networks, *, tls_at_once: bool) -> None:
        """Change to another configuration. Binds in progress end under the one they began with (A13)."""
        self.section = section
        self._balancers = balancers
        self.tls_at_once = tls_at_once

    @property
    def connections(self) -> int:
        return len(self._open)

    @property
    def pending(self) -> int:
        """How many binds are being decided."""
        return sum(client.session.busy for client in self._open)

    def drain(self) -> Deferred[None]:
        """Close idle connections, and the others as soon as they are idle. Fires when none is left (A12).

        The port has to be closed already.
        """
        self._draining_since = self.reactor.seconds()
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        self._look_at_all()
        self._tell_drained()
        return drained

    def close(self) -> None:
        """Cut off all connections."""
        for client in list(self._open):
            client.abort("stopping")

    # ---- connections

    def buildProtocol(self, addr: Any) -> LdapClient | None:  # noqa: N802 - Twisted's name
        address = plain_address(addr.host)
        behind_balancer = any(ip_address(address) in network for network in self._balancers)
        limits = self.section.limits
        if len(self._open) >= limits.connections or (
            not behind_balancer and self._by_address[address] >= limits.connections_per_client
        ):
            self.disconnected("too_many_connections", address)
            return None
        if not self._descriptors.take(_OF_A_CONNECTION):
            self.log.warn("ldap.no_descriptors", most=self._descriptors.most, todo="raise LimitNOFILE")
            self.disconnected("no_descriptors", address)
            return None
        client = LdapClient(self, address, behind_balancer=behind_balancer)
        self._open.add(client)
        if not behind_balancer:
            self._count(client)
        if self._looking is None:
            self._looking = self.reactor.callLater(_LOOK, self._look)
        return client

    def speaks_for(self, client: LdapClient, address: str) -> bool:
        """A balancer's connection belongs to the client with this address. False: that client has too many."""
        client.address = plain_address(address)
        if self._by_address[client.address] >= self.section.limits.connections_per_client:
            return False
        self._count(client)
        return True

    def _count(self, client: LdapClient) -> None:
        client.counted = True
        self._by_address[client.address] += 1

    def closed(self, client: LdapClient) -> None:
        if client in self._open:
            self._open.discard(client)
            self._descriptors.give_back(_OF_A_CONNECTION)
        if client.counted:
            self._by_address[client.address] -= 1
            if not self._by_address[client.address]:
                del self._by_address[client.address]
        self._tell_drained()

    def disconnected(self, cause: str, address: str) -> None:
        self._disconnects.ldap_disconnected(cause)
        self.log.debug("ldap.disconnected", cause=cause, source=address)

    def _tell_drained(self) -> None:
        if self._open:
            return
        drained, self._drained = self._drained, []
        for waiting in drained:
            waiting.callback(None)

    def is_over(self, now: float, *, at_rest: bool, busy: bool) -> bool:
        """A12: whether to close a client's connection now. Binds are waited for, other operations not for long."""
        if self._draining_since is None or busy:
            return False
        return at_rest or now - self._draining_since > _GRACE

    # ---- time

    def _look(self) -> None:
        self._looking = None
        self._look_at_all()
        if self._open:
            self._looking = self.reactor.callLater(_LOOK, self._look)

    def _look_at_all(self) -> None:
        now = self.reactor.seconds()
        for client in list(self._open):
            client.look(now)
