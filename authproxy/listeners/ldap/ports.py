"""What an LDAP listener needs from the world: a way to the directory, who has bound, and a count of
closed connections.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from authproxy.pipeline.decision import Reason, Reject
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.ports import Refused, Verified
from authproxy.pipeline.request import AuthRequest


class Upstream(Protocol):
    """A client's own connection to the directory."""

    def write(self, octets: bytes) -> None: ...

    def pause(self) -> None:
        """Stop reading from the directory until `resume`."""

    def resume(self) -> None: ...

    def close(self, message_id: int = 0) -> None:
        """The receiver isn't told. With an id: send an Unbind with it after what was written;
        otherwise close at once.
        """


class Receiver(Protocol):
    """Gets what the directory sends."""

    def received(self, octets: bytes) -> None: ...

    def lost(self, why: str) -> None: ...

    def pauseProducing(self) -> None: ...  # noqa: N802 - Twisted's name

    def resumeProducing(self) -> None: ...  # noqa: N802 - Twisted's name

    def stopProducing(self) -> None: ...  # noqa: N802 - Twisted's name


class Upstreams(Protocol):
    async def open(self, receiver: Receiver, deadline: float) -> Upstream:
        """Raises PrimaryUnavailable."""


class Identities(Protocol):
    async def confirm(self, name: str, deadline: float, typed: str = "") -> Verified | Refused:
        """The one entry with this name, which the directory has understood from the bind name `typed`. Raises
        PrimaryUnavailable.
        """


class Logins(Protocol):
    def submit(self, request: AuthRequest, answer: Answer) -> Coroutine[Any, Any, None] | None: ...


class Rejecter(Protocol):
    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject: ...


class Disconnects(Protocol):
    def ldap_disconnected(self, cause: str) -> None:
        """We closed a client's connection."""


class Client(Protocol):
    """The client's connection, as its session sees it."""

    @property
    def address(self) -> str:
        """The client's own address, even behind a balancer."""

    @property
    def secure(self) -> bool:
        """Whether TLS is on."""

    @property
    def partial(self) -> bool:
        """Whether part of a message has arrived, but not all of it."""

    def write(self, octets: bytes) -> None: ...

    def pause(self) -> None:
        """Stop reading from the client until `resume`."""

    def resume(self) -> None: ...

    def allow(self, message: int) -> None:
        """The maximum size of a message from now on, in octets."""

    def start_tls(self, last: bytes) -> None:
        """Send this in plain text, then start TLS."""

    def close(self, cause: str, last: bytes = b"") -> None:
        """Send these octets, then close; counted by this cause."""

    def abort(self, cause: str) -> None:
        """Close at once and send nothing, because a message is being sent in the middle."""
