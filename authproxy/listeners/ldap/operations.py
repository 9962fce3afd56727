"""A session's operations other than binds: relayed unchanged, or refused with a reason (L4, L20 to L24)."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from authproxy.listeners.ldap import rules
from authproxy.listeners.ldap.answers import RELAYED, refusal
from authproxy.listeners.ldap.ports import Client
from authproxy.listeners.ldap.relay import GONE, Relay
from authproxy.listeners.ldap.section import LdapSection
from authproxy.observe.log import Log
from authproxy.pipeline.ports import PrimaryUnavailable
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.result import ResultCode


class Holder(Protocol):
    """A session, as its operations see it."""

    @property
    def ended(self) -> bool: ...

    @property
    def section(self) -> LdapSection: ...

    @property
    def who(self) -> rules.Who: ...

    def soon(self) -> float:
        """The deadline by which the directory has to answer."""

    def wait(self) -> None:
        """Hold what arrives until `go_on`."""

    def put_back(self, frame: Frame) -> None:
        """Put in front of what is held."""

    def go_on(self) -> None: ...

    def upstream_lost(self, why: str) -> None: ...

    def disconnect(self, cause: str, code: ResultCode, text: str = "") -> None: ...


class Operations:
    """The operations of one session."""

    def __init__(self, holder: Holder, client: Client, relay: Relay, *, log: Log) -> None:
        self._holder = holder
        self._client = client
        self._relay = relay
        self._log = log

    @property
    def most(self) -> int:
        """How many may be in progress or waiting."""
        limits = self._holder.section.limits
        return limits.operations_bound if self._holder.who.bound else limits.operations

    def check_id(self, frame: Frame) -> None:
        """L4: raises MalformedMessage if the id is in use."""
        if frame.message_id in self._relay.outstanding:
            raise MalformedMessage("message_id", "the id of an operation that is in progress")

    def is_usual(self, frame: Frame) -> bool:
        """Whether this is a search for which nothing has to be decided."""
        outstanding = self._relay.outstanding
        return (
            self._holder.who.bound
            and self._relay.connected
            and frame.stop == len(frame.octets)
            and frame.message_id not in outstanding
            and not rules.is_root_search(frame)
            and len(outstanding) < self._holder.section.limits.operations_bound
        )

    def take(self, frame: Frame) -> None:
        """Relay or refuse an operation. Raises MalformedMessage."""
        if frame.tag not in RELAYED:
            raise MalformedMessage("operation", f"tag 0x{frame.tag:02x} is no request")
        self.check_id(frame)
        holder, relay = self._holder, self._relay
        approvals = holder.section.approvals
        if approvals.kept and rules.changes_password(frame):
            approvals.forget_all()
        forbidden = rules.forbidden(frame, holder.who, secure=self._client.secure)
        if forbidden is not None:
            relay.say(refusal(frame.message_id, frame.tag, forbidden.code, forbidden.text))
        elif len(relay.outstanding) >= self.most:
            holder.disconnect("too_many_operations", ResultCode.BUSY, "Too many operations at once.")
        elif not relay.connected and holder.who.bound:
            holder.upstream_lost("gone")
        elif not relay.connected:
            self._connect_for(frame)
        elif rules.is_root_search(frame):
            relay.forward_root(frame)
        else:
            relay.forward(frame)

    def _connect_for(self, frame: Frame) -> None:
        """Connect, then do this operation; it waits in front of what comes meanwhile."""
        holder = self._holder
        holder.wait()

        async def connect() -> None:
            try:
                await self._relay.connect(holder.section.upstreams, holder.soon())
            except PrimaryUnavailable as unavailable:
                self._log.warn("ldap.no_upstream", section=holder.section.name, problem=str(unavailable))
                if not holder.ended:
                    self._relay.say(refusal(frame.message_id, frame.tag, ResultCode.UNAVAILABLE, GONE))
            else:
                holder.put_back(frame)
            if not holder.ended:
                holder.go_on()

        def failed(failure: Failure) -> None:
            self._log.failure("ldap.connect_failed", failure.value or RuntimeError("cancelled"))
            holder.disconnect("internal", ResultCode.OTHER)

        Deferred.fromCoroutine(connect()).addErrback(failed)
