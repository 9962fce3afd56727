"""From a host name to a verified connection: DNS, signs of tampering, TCP, a proxy's tunnel, TLS; all within one
deadline.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from twisted.internet.defer import TimeoutError as TimedOut

from authproxy.backends.cloud.connecting import NotConnected, connect
from authproxy.backends.cloud.http1 import Connection
from authproxy.backends.cloud.proxy import OutboundProxy, ask_for_tunnel
from authproxy.backends.cloud.stream import Stream
from authproxy.backends.resolve import NameUnresolved, Resolver
from authproxy.backends.tls import ServerCertificates, describe, host_name, is_untrusted
from authproxy.observe.log import Log
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.protocols.cloud.envelope import clean_text
from authproxy.values import light_dataclass

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
CERTIFICATE_NOTED_FOR = 60.0  # seconds until the certificate's end is read again


@light_dataclass(frozen=True, slots=True)
class Peer:
    """The service to connect to. `host`: a name or an address."""

    host: str
    port: int
    context: ssl.SSLContext
    proxy: OutboundProxy | None = None
    allow_local: bool = False


class Opener:
    """Opens connections to one peer."""

    def __init__(
        self,
        peer: Peer,
        *,
        reactor: Any,
        resolver: Resolver,
        log: Log,
        certificates: ServerCertificates | None = None,
        has_answered: Callable[[], bool] = lambda: False,
    ) -> None:
        """`has_answered`: whether the service ever answered, perhaps before a restart; then its name existed."""
        self._peer = peer
        self._name = host_name(peer.host)
        self._reactor = reactor
        self._resolver = resolver
        self._log = log
        self._certificates = certificates
        self._has_answered = has_answered
        self._noted_at: float | None = None

    async def open(self, deadline: float) -> Connection:
        """A verified connection. `deadline`: the reactor's seconds. Raises CloudFailure."""
        host = self._peer.proxy.host if self._peer.proxy is not None else self._peer.host
        port = self._peer.proxy.port if self._peer.proxy is not None else self._peer.port
        addresses = await self._addresses(host, deadline)
        self._refuse_tampered(addresses)
        try:
            connected = await connect(self._reactor, addresses, port, self._left(deadline))
        except NotConnected as error:
            if error.local:
                # A8: whoever pages the administrator must not have to read it out of refused logins.
                self._log.error("cloud.cannot_connect_from_here", host=host, problem=str(error))
                raise CloudFailure(FailureClass.INTERNAL, f"{host}: {error}") from None
            raise CloudFailure(FailureClass.UNREACHABLE, f"{host}: {error}") from None
        stream = Stream(self._reactor, connected)
        try:
            await self._secure(stream, deadline)
        except BaseException:
            stream.close()
            raise
        self._note_certificate(stream)
        return Connection(self._reactor, stream)

    async def _addresses(self, host: str, deadline: float) -> Sequence[str]:
        try:
            return await self._resolver.addresses(host, self._left(deadline))
        except NameUnresolved as error:
            if error.local:
                raise CloudFailure(FailureClass.INTERNAL, str(error)) from None
            # F5: a name that was there and is gone is somebody's doing.
            gone = error.nxdomain and (error.known or self._has_answered())
            failure = FailureClass.UNTRUSTED if gone else FailureClass.UNREACHABLE
            raise CloudFailure(failure, str(error)) from None

    def _refuse_tampered(self, addresses: Sequence[str]) -> None:
        """F5, T10: a hosts file that points the cloud's name here is the oldest trick there is (AA22-074A)."""
        if self._peer.allow_local:
            return
        # Behind a proxy the name is looked up there; what the configuration itself says is seen all the same.
        called = addresses if self._peer.proxy is None else [self._name]
        for address in called:
            if not is_public(address):
                raise CloudFailure(
                    FailureClass.UNTRUSTED, f"{self._peer.host} is {address}, which is no public address"
                )

    async def _secure(self, stream: Stream, deadline: float) -> None:
        peer = self._peer
        if peer.proxy is not None:
            await ask_for_tunnel(self._reactor, stream, peer.proxy, self._name, peer.port, deadline)
        if not stream.is_open:
            raise CloudFailure(FailureClass.UNREACHABLE, "connection closed before TLS began")
        shaken = stream.start_tls(peer.context, self._name)
        shaken.addTimeout(self._left(deadline), self._reactor)
        try:
            await shaken
        except TimedOut:
            raise CloudFailure(FailureClass.UNREACHABLE, "TLS: silence in the handshake") from None
        except OSError as error:
            failure = FailureClass.UNTRUSTED if is_untrusted(error) else FailureClass.UNREACHABLE
            raise CloudFailure(failure, clean_text(f"TLS: {describe(error)}")) from None

    def _note_certificate(self, stream: Stream) -> None:
        now = self._reactor.seconds()
        if self._certificates is None or (
            self._noted_at is not None and now - self._noted_at < CERTIFICATE_NOTED_FOR
        ):
            return
        self._noted_at = now
        not_after = stream.peer_certificate.get("notAfter")
        if isinstance(not_after, str):
            self._certificates.note(self._name, ssl.cert_time_to_seconds(not_after))

    def _left(self, deadline: float) -> float:
        left: float = deadline - self._reactor.seconds()
        return max(0.0, left)


def is_public(address: str) -> bool:
    """Whether packets to this host leave for the Internet. A name counts as public unless it is this machine's own."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address.lower() != "localhost" and not address.lower().endswith(".localhost")
    if isinstance(ip, IPv6Address):
        ip = _inside(ip) or ip
    return ip.is_global and not ip.is_multicast


def _inside(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one is written around."""
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour
