"""What an LDAP listener asks of the world: a way to the directory, who bound, and somebody who counts closings."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from authproxy.pipeline.decision import Reason, Reject
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.ports import Refused, Verified
from authproxy.pipeline.request import AuthRequest


class Upstream(Protocol):
    """A client's own connection to the directory."""

    @property
    def host(self) -> str: ...

    def write(self, octets: bytes) -> None: ...

    def pause(self) -> None:
        """Read no more from the directory, until `resume`."""

    def resume(self) -> None: ...

    def close(self, message_id: int = 0) -> None:
        """The receiver isn't told. With an id: behind what was written, saying goodbye by it; else at once."""


class Receiver(Protocol):
    """Who gets what the directory sends."""

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
        """The one entry with this name, which the directory understands by the bind name `typed`.

        Raises PrimaryUnavailable.
        """


class Logins(Protocol):
    def submit(self, request: AuthRequest, answer: Answer) -> Coroutine[Any, Any, None] | None: ...


class Rejecter(Protocol):
    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject: ...


class Disconnects(Protocol):
    def ldap_disconnected(self, cause: str) -> None:
        """A client's connection was ended by us."""


class Client(Protocol):
    """The client's connection, as its session sees it."""

    @property
    def address(self) -> str:
        """Where the client is, whatever stands between."""

    @property
    def secure(self) -> bool:
        """TLS is on."""

    @property
    def partial(self) -> bool:
        """Octets of a message that isn't complete are there."""

    def write(self, octets: bytes) -> None: ...

    def pause(self) -> None:
        """Read no more from the client, until `resume`."""

    def resume(self) -> None: ...

    def allow(self, message: int) -> None:
        """Octets that a message may have from now on."""

    def start_tls(self, last: bytes) -> None:
        """Say this in clear, and nothing more."""

    def close(self, cause: str, last: bytes = b"") -> None:
        """End it, counted by this cause, behind these octets."""

    def abort(self, cause: str) -> None:
        """End it with nothing said: there is no place in the stream where it could be."""
