"""A bind that is being decided. The password is verified on the client's own connection to the
directory (L8 to L11).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from authproxy.listeners.ldap.answers import Answered, operation_of
from authproxy.pipeline.ports import PrimaryUnavailable, Refused, Verified
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import canonical
from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.controls import decode_controls, password_policy
from authproxy.protocols.ldap.dn import MalformedDN, parse_dn
from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import BIND, WHO_AM_I, BindRequest, ExtendedRequest
from authproxy.protocols.ldap.responses import (
    EXTENDED_RESPONSE,
    BindResponse,
    ExtendedResponse,
    Result,
    decode_response,
)
from authproxy.protocols.ldap.result import ResultCode, code_name, refusal_cause
from authproxy.secret import Secret

_SIMPLE = 0x80
# The directory didn't look at the password.
_NO_VERDICT = frozenset(
    {ResultCode.BUSY, ResultCode.UNAVAILABLE, ResultCode.TIME_LIMIT_EXCEEDED, ResultCode.ADMIN_LIMIT_EXCEEDED}
)


class Asker(Protocol):
    """A session, as its bind attempts see it."""

    async def bind_upstream(self, message_id: int, octets: bytes, deadline: float) -> Frame:
        """The directory's answer to a bind with these octets. Raises PrimaryUnavailable."""

    async def ask_upstream(self, request: ExtendedRequest, tag: int, deadline: float) -> Frame:
        """The directory's answer to a request of ours. Raises PrimaryUnavailable."""

    async def confirm(self, name: str, deadline: float, typed: str) -> Verified | Refused:
        """Raises PrimaryUnavailable."""

    def upstream_bound(self, success: bool) -> None:
        """Note as whom the connection to the directory is bound from now on; None: as nobody."""


class Attempt:
    """`first`: nobody has bound on this connection before. `anybody`: it doesn't matter who binds, so the entry isn't
    looked up.
    """

    def __init__(
        self,
        asker: Asker,
        frame: Frame,
        bind: BindRequest,
        password: Secret,
        *,
        first: bool,
        anybody: bool = False,
    ) -> None:
        self.frame = frame
        self.bind = bind
        self.password = password
        self.first = first
        self.anybody = anybody
        self.granted: Answered | None = None  # this connection is bound by it
        self._asker = asker

    async def verify(self, password: Secret, deadline: float) -> Verified | Refused:
        """Bind on this connection once, and find out as whom. Raises PrimaryUnavailable."""
        if not password or not self.bind.name:
            # RFC 4513 §5.1.2: either would be an anonymous bind that says it succeeded (L7).
            raise RuntimeError("a bind without a name or a password must not get here")
        self.granted = None
        frame = await self._asker.bind_upstream(self.frame.message_id, self._octets(password), deadline)
        result = _read(frame).result
        self._asker.upstream_bound(result.code == ResultCode.SUCCESS)
        if result.code != ResultCode.SUCCESS:
            return _refused(frame, result)
        # A DN is what it says.
        name = self.bind.name if is_dn(self.bind.name) else await self._name(deadline)
        if not name:
            return Refused("bound_as_nobody")
        # `exempt_primary_bind` lets in whoever it is: no word of the directory on the entry would change that.
        verified = (
            Verified(canonical(name), name)
            if self.anybody
            else await self._asker.confirm(name, deadline, self.bind.name)
        )
        if isinstance(verified, Refused):
            return verified
        self.granted = Answered(result.code, operation_of(frame), verified.username, verified.dn)
        return Verified(verified.username, verified.dn, verified.groups, self.granted)

    def _octets(self, password: Secret) -> bytes:
        """The client's own, but for the factor behind the password."""
        if password == self.password:
            return self.frame.octets
        content = (
            ber.integer(self.bind.version) + ber.text(self.bind.name) + ber.tlv(_SIMPLE, password.reveal())
        )
        rest = self.frame.octets[self.frame.stop :]
        return ber.tlv(ber.SEQUENCE, ber.integer(self.frame.message_id) + ber.tlv(BIND, content) + rest)

    async def _name(self, deadline: float) -> str:
        """Who bound, in a form that can be looked up; '' when it is nobody.

        What but a DN a directory takes for a bind name (RFC 4513 §5.1.1 has nothing) it may take in its own way, so it
        is asked (RFC 4532); one that doesn't answer that is believed to read it as we do.
        """
        frame = await self._asker.ask_upstream(ExtendedRequest(WHO_AM_I), EXTENDED_RESPONSE, deadline)
        try:
            response = decode_response(frame)
        except MalformedMessage as malformed:
            raise PrimaryUnavailable(f"malformed answer: {malformed}") from None
        if not isinstance(response, ExtendedResponse) or response.result.code in _NO_VERDICT:
            # It knows the question, and can't answer now: what it took the name for isn't known.
            raise PrimaryUnavailable("no answer to who has bound")
        if response.result.code != ResultCode.SUCCESS:
            return self.bind.name
        kind, colon, name = (response.value or b"").decode("utf-8", "replace").partition(":")
        return name if colon and kind in ("u", "dn") else ""


class Guard(Protocol):
    """Protects accounts from too many wrong passwords (A10)."""

    async def attempt(
        self,
        user: str,
        place: str,
        deadline: float,
        prove: Callable[[], Awaitable[Verified | Refused]],
        cause: Callable[[Verified | Refused], str | None],
    ) -> Verified | Refused:
        """Raises PrimaryUnavailable."""


class CountedAs(Protocol):
    async def __call__(self, typed: str, deadline: float, *, unconfirmed: bool) -> str: ...


class BindPrimary:
    """Implements pipeline.ports.Primary with each login's own bind.

    `counted_as(typed, deadline, unconfirmed=…)`: the name under which wrong passwords are counted, whatever form the
    bind name has; raises PrimaryUnavailable. `unconfirmed`: nobody will look up who has bound.
    """

    def __init__(self, guard: Guard, counted_as: CountedAs) -> None:
        self._guard = guard
        self._counted_as = counted_as

    async def verify(self, request: AuthRequest, password: Secret) -> Verified | Refused:
        attempt = request.carried
        assert isinstance(attempt, Attempt)  # noqa: S101 - what section.ask put there
        return await self._guard.attempt(
            await self._counted_as(request.username.typed, request.deadline, unconfirmed=attempt.anybody),
            request.nas_ip,
            request.deadline,
            partial(attempt.verify, password, request.deadline),
            lambda answer: answer.cause if isinstance(answer, Refused) else None,
        )


def is_dn(name: str) -> bool:
    """Whether a name is a DN. A single RDN may be an unusual user name; two are a DN."""
    try:
        return len(parse_dn(name).rdns) >= 2
    except MalformedDN:
        return False


def _read(frame: Frame) -> BindResponse:
    try:
        response = decode_response(frame)
    except MalformedMessage as malformed:
        raise PrimaryUnavailable(f"malformed answer: {malformed}") from None
    assert isinstance(response, BindResponse)  # noqa: S101 - by its tag
    return response


def _refused(frame: Frame, result: Result) -> Refused:
    if result.code in _NO_VERDICT:
        raise PrimaryUnavailable(f"{code_name(result.code)} {result.diagnostic}".rstrip())
    try:
        policy = password_policy(decode_controls(frame))
    except MalformedMessage:
        policy = None
    said = Answered(result.code, operation_of(frame))
    return Refused(refusal_cause(result.code, result.diagnostic, policy), carried=said)
