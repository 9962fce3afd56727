"""One port of the HTTP proxy: who may open a tunnel, and how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address
from socket import socket
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.defer import Deferred

from authproxy.listeners.address import plain_address
from authproxy.listeners.descriptors import Descriptors
from authproxy.listeners.http_proxy.tunnel import Tunnel
from authproxy.observe.log import Log
from authproxy.protocols.http.tunnel import NoTunnel
from authproxy.values import light_dataclass

_OF_A_TUNNEL = 2  # file descriptors: the client's and the cloud's
_LOOK = 1.0  # seconds

# A connected socket to the one place there is. Raises NoTunnel.
Dial = Callable[[], Awaitable[socket]]


class Refusals(Protocol):
    def tunnel_refused(self, cause: str) -> None:
        """A client got no tunnel, or we closed it."""


@light_dataclass(frozen=True, slots=True)
class TunnelRules:
    """The rules of a port. `idle`: seconds."""

    section: str
    host: str
    port: int
    clients: Sequence[IPv4Network | IPv6Network]
    idle: float
    most: int
    most_per_client: int


class HttpProxyListener(protocol.ServerFactory):
    """Tunnels keep the rules under which they began."""

    noisy = False

    def __init__(
        self,
        rules: TunnelRules,
        dial: Dial,
        *,
        reactor: Any,
        log: Log,
        refusals: Refusals,
        descriptors: Descriptors,
    ) -> None:
        self.rules = rules
        self.dial = dial
        self.reactor = reactor
        self.log = log
        self._refusals = refusals
        self._descriptors = descriptors
        self._open: set[Tunnel] = set()
        self._by_address: Counter[str] = Counter()
        self._looking: Any = None
        self._drained: list[Deferred[None]] = []

    def serve(self, rules: TunnelRules, dial: Dial) -> None:
        """Use these rules for new connections."""
        self.rules, self.dial = rules, dial

    @property
    def tunnels(self) -> int:
        return len(self._open)

    @property
    def pending(self) -> int:
        """How many tunnels wait for an answer."""
        return sum(tunnel.asks for tunnel in self._open)

    def drain(self) -> Deferred[None]:
        """Fires when no connection is left (A12). The port has to be closed already."""
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        self._look_at_all()
        self._tell_drained()
        return drained

    def close(self) -> None:
        """Cut off all connections."""
        for tunnel in list(self._open):
            tunnel.abort()

    # ---- tunnels

    def buildProtocol(self, addr: Any) -> Tunnel | None:  # noqa: N802 - Twisted's name
        address = plain_address(addr.host)
        if not any(ip_address(address) in network for network in self.rules.clients):
            self.refused("unknown_client", address)
            return None
        if len(self._open) >= self.rules.most or self._by_address[address] >= self.rules.most_per_client:
            self.refused("too_many_connections", address)
            return None
        if not self._descriptors.take(_OF_A_TUNNEL):
            self.refused("no_descriptors", address, "raise LimitNOFILE")
            return None
        tunnel = Tunnel(self, address)
        self._open.add(tunnel)
        self._by_address[address] += 1
        if self._looking is None:
            self._looking = self.reactor.callLater(_LOOK, self._look)
        return tunnel

    def refused(self, cause: str, address: str, detail: str = "") -> None:
        self._refusals.tunnel_refused(cause)
        more = {"detail": detail} if detail else {}
        self.log.warn("http_proxy.refused", section=self.rules.section, cause=cause, source=address, **more)

    def closed(self, tunnel: Tunnel) -> None:
        if tunnel not in self._open:
            return
        self._open.discard(tunnel)
        self._descriptors.give_back(_OF_A_TUNNEL)
        self._by_address[tunnel.address] -= 1
        if not self._by_address[tunnel.address]:
            del self._by_address[tunnel.address]
        self._tell_drained()

    def may_lead_to(self, host: str, port: int) -> None:
        """Raises NoTunnel for any place but the one: this must not be a way into the network, or out of it."""
        if (host, port) != (self.rules.host, self.rules.port):
            raise NoTunnel(HTTPStatus.FORBIDDEN, "destination", f"{host}:{port}")

    def _look_at_all(self) -> None:
        now = self.reactor.seconds()
        for tunnel in list(self._open):
            tunnel.look(now, draining=bool(self._drained))

    def _look(self) -> None:
        self._look_at_all()
        self._looking = self.reactor.callLater(_LOOK, self._look) if self._open else None

    def _tell_drained(self) -> None:
        if self._open:
            return
        drained, self._drained = self._drained, []
        for waiting in drained:
            waiting.callback(None)
