"""Forwards accounting to RADIUS servers (RFC 2866 §2.3). Nothing is stored: the NAS repeats its request until it is
answered.
"""

from __future__ import annotations

import secrets
from typing import Any

from authproxy.backends.radius.liveness import Silent
from authproxy.backends.radius.servers import Servers
from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import ServerCertificates
from authproxy.observe.log import Log
from authproxy.protocols.radius.accounting import accounting_request, relayed_request
from authproxy.protocols.radius.packet import MESSAGE_AUTHENTICATOR, Packet

# Seconds. Most NASes repeat within ten, with a new Acct-Delay-Time, which is another request.
PATIENCE = 20.0


class RadiusAccounting:
    """Implements the listener's Accounting."""

    def __init__(
        self,
        settings: RadiusClientSettings,
        *,
        reactor: Any,
        resolver: Resolver,
        log: Log,
        certificates: ServerCertificates | None = None,
    ) -> None:
        """`settings.hosts`: the addresses for accounting."""
        self._settings = settings
        self._reactor = reactor
        self._servers = Servers(
            settings, reactor=reactor, resolver=resolver, log=log, certificates=certificates
        )
        self.pending = 0

    async def forward(self, packet: Packet) -> Packet | None:
        """The server's response to an authentic request. None: no server answered, and the request may be lost.

        Raises ValueError if the request is too long with our Proxy-State added.
        """
        attributes = relayed_request(packet, secrets.token_bytes(8))
        signed = packet.first(MESSAGE_AUTHENTICATOR) is not None

        def build(identifier: int, _authenticator: bytes, _own_address: str) -> Packet:
            return accounting_request(
                attributes, identifier=identifier, secret=self._settings.secret, message_authenticator=signed
            )

        self.pending += 1
        try:
            reply, _ = await self._servers.ask(build, self._reactor.seconds() + PATIENCE)
        except Silent:
            return None
        finally:
            self.pending -= 1
        return reply

    def close(self) -> None:
        self._servers.close()
