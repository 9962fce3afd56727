"""From a host's name to a usable connection: DNS, TCP, and TLS that proves who the server is (T1, T6)."""

from __future__ import annotations

import errno
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.protocols.tls import TLSMemoryBIOFactory

from authproxy.backends.attempt import Attempt
from authproxy.backends.directory.connection import ConnectionFailed, LdapConnection
from authproxy.backends.directory.settings import DirectorySettings, Host, Transport
from authproxy.backends.resolve import NameUnresolved, Resolver
from authproxy.backends.tls import ClientTls, ServerCertificates, UnusableTrust, client_tls, describe

_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class Unusable(Exception):
    """The administrator has to act, because no other host would do better. The text says what to do."""


class Connector:
    """Makes connections to a section's hosts."""

    def __init__(
        self,
        settings: DirectorySettings,
        *,
        reactor: Any,
        resolver: Resolver,
        certificates: ServerCertificates | None = None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._resolver = resolver
        self._certificates = certificates

    async def connect(self, host: Host, deadline: float) -> LdapConnection:
        """A connection on which nothing was said, over TLS unless the transport is clear.

        `deadline` is in the reactor's seconds. Raises ConnectionFailed, Unusable.
        """
        tls = self._tls(host)
        try:
            addresses = await self._resolver.addresses(host.address, self._left(deadline))
        except NameUnresolved as unresolved:
            raise ConnectionFailed(str(unresolved)) from None
        problem = ConnectionFailed("no address")
        for at, address in enumerate(addresses):
            # Each address gets an equal part of the time that is left.
            until = self._reactor.seconds() + self._left(deadline) / (len(addresses) - at)
            try:
                return await self._to_address(address, host.port, tls, until)
            except ConnectionFailed as failed:
                problem = failed
                if failed.untrusted:
                    break
        try:
            raise problem
        finally:
            # Its traceback holds this frame: in a circle, they stay until the garbage is looked for.
            del problem

    def _tls(self, host: Host) -> ClientTls | None:
        if self._settings.transport is Transport.CLEAR:
            return None
        try:
            return client_tls(host.tls_name or host.address, self._settings.trust, self._certificates)
        except UnusableTrust as unusable:
            raise Unusable(str(unusable)) from None

    async def _to_address(
        self, address: str, port: int, tls: ClientTls | None, deadline: float
    ) -> LdapConnection:
        attempt = Attempt[LdapConnection](partial(LdapConnection, self._reactor))
        factory: Any = attempt
        if tls is not None and self._settings.transport is Transport.LDAPS:
            factory = TLSMemoryBIOFactory(tls, True, attempt, clock=self._reactor)
            factory.noisy = False
        connected = attempt.connected
        self._reactor.connectTCP(address, port, factory, timeout=self._left(deadline))
        try:
            connection = await connected
        except (ConnectError, ConnectTimeout, OSError) as error:
            raise ConnectionFailed(_why(error)) from None
        await self._secure(connection, tls, deadline)
        return connection

    async def _secure(self, connection: LdapConnection, tls: ClientTls | None, deadline: float) -> None:
        try:
            if tls is None:
                return
            if self._settings.transport is Transport.LDAPS:
                await connection.handshake(deadline)
            else:
                await connection.start_tls(tls, deadline)
        except CancelledError:
            connection.abort("cancelled")
            raise

    def _left(self, deadline: float) -> float:
        return max(0.001, float(deadline - self._reactor.seconds()))


def _why(error: Exception) -> str:
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    if number in _OUT_OF_DESCRIPTORS:
        return "this process has no file descriptor left: raise LimitNOFILE"
    if isinstance(error, ConnectTimeout):
        return "no connection in time"
    return f"cannot connect: {errno.errorcode.get(number, '') if number else ''} {describe(error)}".replace(
        "  ", " "
    )
