"""Connections that are opened for somebody else: an LDAP application's own, on which its octets are relayed (L20).

Which host it goes to is decided when it is opened, and never again (L28, L29): what was said on one can't be said on
another.
"""

from __future__ import annotations

from typing import Any, Protocol

from authproxy.backends.directory.connection import ConnectionFailed, LdapConnection
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.server import Server
from authproxy.pipeline.ports import PrimaryUnavailable
from authproxy.protocols.ldap.requests import UnbindRequest, encode_request


class Receiver(Protocol):
    """The other side of the relay. It is also a producer: it is paused while the directory doesn't read."""

    def received(self, octets: bytes) -> None: ...

    def lost(self, why: str) -> None:
        """Called once, but not after our own `close`."""

    def pauseProducing(self) -> None: ...  # noqa: N802 - Twisted's name

    def resumeProducing(self) -> None: ...  # noqa: N802 - Twisted's name

    def stopProducing(self) -> None: ...  # noqa: N802 - Twisted's name


class Upstream:
    """An open connection to one host, on which nothing was sent apart from TLS."""

    def __init__(self, connection: LdapConnection, receiver: Receiver) -> None:
        """Raises ConnectionFailed if it is closed already."""
        self._receiver: Receiver | None = receiver
        connection.hand_over(self)
        self._connection = connection
        self._transport: Any = connection.transport
        self._transport.registerProducer(receiver, True)

    def write(self, octets: bytes) -> None:
        if self._receiver is not None:
            self._transport.write(octets)

    def pause(self) -> None:
        """Stop reading from the directory until `resume`."""
        if self._receiver is not None:
            self._transport.pauseProducing()

    def resume(self) -> None:
        if self._receiver is not None:
            self._transport.resumeProducing()

    def close(self, message_id: int = 0) -> None:
        """The receiver isn't told. With a message id: send an Unbind with it after what was written; otherwise close at
        once.
        """
        if self._receiver is None:
            return
        self._receiver = None
        self._connection.let_go()
        self._transport.unregisterProducer()
        if message_id:
            self._transport.write(encode_request(message_id, UnbindRequest()))
            self._transport.loseConnection()
        else:
            self._transport.abortConnection()

    # ---- the connection's side

    def received(self, octets: bytes) -> None:
        if self._receiver is not None:
            self._receiver.received(octets)

    def lost(self, why: str) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.lost(why)


class Upstreams:
    """Opens upstream connections to whichever of a directory's hosts answers."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def open(self, receiver: Receiver, deadline: float) -> Upstream:
        """Raises PrimaryUnavailable."""

        async def connect(server: Server, until: float) -> LdapConnection:
            return await server.open(until)

        connection = await self._directory.consult(connect, deadline)
        try:
            return Upstream(connection, receiver)
        except ConnectionFailed as failed:
            raise PrimaryUnavailable(str(failed)) from None
