"""One client's session: its operations in their order, and as whom it is bound.

While a bind is being decided, nothing else moves (L8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from authproxy.listeners.ldap import rules
from authproxy.listeners.ldap.binding import Binding
from authproxy.listeners.ldap.held import Held
from authproxy.listeners.ldap.operations import Operations
from authproxy.listeners.ldap.ports import Client
from authproxy.listeners.ldap.relay import GONE, Relay
from authproxy.listeners.ldap.root import as_served_here
from authproxy.listeners.ldap.section import LdapSection
from authproxy.observe.log import Log
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import (
    START_TLS,
    AbandonRequest,
    BindRequest,
    decode_request,
)
from authproxy.protocols.ldap.responses import (
    ExtendedResponse,
    Result,
    encode_response,
    notice_of_disconnection,
)
from authproxy.protocols.ldap.result import ResultCode


class Session:
    """Implements binding.Holder and operations.Holder. `section()` returns the section as it is configured now."""

    def __init__(self, client: Client, section: Callable[[], LdapSection], *, reactor: Any, log: Log) -> None:
        self._client = client
        self._configured = section
        self.section = section()
        self._reactor = reactor
        self._log = log
        self._relay = Relay(client, root=self._root, lost=self.upstream_lost, reactor=reactor)
        self._binding = Binding(self, client, self._relay, reactor=reactor, log=log)
        self._operations = Operations(self, client, self._relay, log=log)
        self.ended = False
        self._busy = False  # a bind, or connecting to the directory
        self._handling = False  # messages, right now
        self._held = Held()  # what came meanwhile
        self._following = False  # more came with the message that is being handled
        self.who = self._nobody()

    # ---- what the connection asks

    @property
    def bound(self) -> bool:
        return self.who.bound

    @property
    def busy(self) -> bool:
        """A bind is being decided, or the directory is being connected to."""
        return self._busy and not self.ended

    @property
    def at_rest(self) -> bool:
        """Nothing is in progress for the client."""
        return not (self._busy or self._held or self._relay.outstanding)

    def silent_since(self) -> float | None:
        """Since when the directory has sent nothing while the client waits for it."""
        return self._relay.heard if self._relay.outstanding else None

    @property
    def relay(self) -> Relay:
        return self._relay

    def received(self, frames: list[Frame]) -> None:
        """Messages from the client. Raises MalformedMessage."""
        last = len(frames) - 1
        self._handling = True
        try:
            for at, frame in enumerate(frames):
                if self.ended:
                    return
                if self._busy or self._held:
                    self._hold(frame)
                else:
                    self._following = at < last
                    self._handle(frame)
            self._handle_held()
        finally:
            self._handling = False

    def end(self, message_id: int = 0) -> None:
        """The client is gone, or is going: end everything that belongs to it (L18)."""
        if not self.ended:
            self.ended = True
            self._held.clear()
            self._relay.close(message_id)

    def dissolve(self) -> None:
        """Called after `end`. Breaks references between the parts, so that they are freed at once."""
        del self._relay, self._binding, self._operations

    def disconnect(self, cause: str, code: ResultCode, text: str = "") -> None:
        """Send a notice of disconnection, if possible, and close (L28)."""
        if self.ended:
            return
        passing = self._relay.passing
        self.end()
        if passing:
            self._client.abort(cause)
        else:
            self._client.close(cause, notice_of_disconnection(code, text))

    def give_up_waiting(self) -> None:
        """The directory has been silent for too long (L29)."""
        self._relay.drop("upstream_silent")
        self.upstream_lost("silent")

    # ---- the client's operations

    def _hold(self, frame: Frame) -> None:
        """L8: it waits. Abandon of the bind itself has nothing to do, and Unbind ends the wait (L18)."""
        match frame.tag:
            case 0x42 if self._binding.pending:
                self._goodbye(frame)
                return
            case 0x50 if not self._held.has(abandoned := _abandoned(frame)):
                self._relay.abandon(abandoned, frame.octets)
                self._relay.flush()
                return
        most_octets = self.section.limits.message_bound
        if not self._held.add(frame, most=self._operations.most, most_octets=most_octets):
            self.disconnect("too_many_operations", ResultCode.BUSY, "Too many operations at once.")

    def _goodbye(self, frame: Frame) -> None:
        self._relay.flush()
        self._client.close("")
        self.end(frame.message_id)

    def _handle_held(self) -> None:
        while self._held and not self._busy and not self.ended:
            frame = self._held.take()
            self._following = bool(self._held)
            self._handle(frame)
        self._relay.flush()

    def _handle(self, frame: Frame) -> None:
        match frame.tag:
            case 0x63 if self._operations.is_usual(frame):
                self._relay.forward(frame)
            case 0x60:
                self._bind(frame)
            case 0x42:
                self._goodbye(frame)
            case 0x50:
                self._relay.abandon(_abandoned(frame), frame.octets)
            case 0x77 if rules.extended_name(frame) == START_TLS:
                self._operations.check_id(frame)
                self._start_tls(frame)
            case _:
                self._operations.take(frame)

    # ---- StartTLS (RFC 4511 §4.14)

    def _start_tls(self, frame: Frame) -> None:
        if self._following or self._client.partial:
            # L30, CVE-2011-0411: what came in clear behind it must never count as said inside TLS.
            self.end()
            self._client.abort("starttls_injection")
            return
        if self._client.secure or self._relay.outstanding:
            self._relay.say(_about_tls(frame, ResultCode.OPERATIONS_ERROR))
            return
        if self.section.tls is None:
            self._relay.say(_about_tls(frame, ResultCode.PROTOCOL_ERROR))
            return
        # L31: who somebody was in clear, they aren't inside.
        self.become_nobody()
        self._binding.let_upstream_go()
        self._client.start_tls(_about_tls(frame, ResultCode.SUCCESS))

    # ---- binds, and what they and operations do with it (binding.Holder, operations.Holder)

    def _bind(self, frame: Frame) -> None:
        self._relay.flush()
        self._operations.check_id(frame)
        if self._relay.outstanding:
            self._end_operations(frame)
            return
        bind = decode_request(frame)
        assert isinstance(bind, BindRequest)  # noqa: S101 - by its tag
        self._binding.begin(frame, bind)
        if self._binding.pending and (gone := self._held.goodbye()) is not None:
            self._goodbye(gone)

    def _end_operations(self, frame: Frame) -> None:
        """RFC 4511 §4.2.1: before a bind is processed, what is in progress is complete or abandoned (L8).

        A search that waits for changes might else tell what the next user may see, before anybody knows whether that
        is one.
        """
        self.wait()
        self.put_back(frame)
        patience = self._reactor.callLater(self.section.options.bind_timeout, self._relay.cancel)

        def quiet() -> None:
            if patience.active():
                patience.cancel()
            self.go_on()

        self._relay.when_quiet(quiet)

    def adopt_section(self) -> None:
        section = self._configured()
        if section.upstreams is not self.section.upstreams:
            self._relay.drop("reconfigured")
        self.section = section

    def become(self, who: rules.Who) -> None:
        self.who = who
        limits = self.section.limits
        self._client.allow(limits.message_bound if who.bound else limits.message)

    def become_nobody(self) -> None:
        self.become(self._nobody())

    def _nobody(self) -> rules.Who:
        return rules.ANONYMOUS if self.section.options.allow_anonymous else rules.NOBODY

    def wait(self) -> None:
        self._busy = True

    def put_back(self, frame: Frame) -> None:
        self._held.put_back(frame)

    def soon(self) -> float:
        return self._binding.soon()

    def go_on(self) -> None:
        """Handle what was held, unless the caller is about to do that."""
        self._busy = False
        if self._handling:
            return
        self._handling = True
        try:
            self._handle_held()
        except MalformedMessage as malformed:
            self.disconnect(malformed.cause, ResultCode.PROTOCOL_ERROR, malformed.cause)
        finally:
            self._handling = False

    # ---- the directory's side

    def upstream_lost(self, why: str) -> None:
        """L29: close, because another connection wouldn't be bound, and the client believes that it is."""
        if not (self._busy or self.ended):
            self._log.info(
                "ldap.upstream_lost", section=self.section.name, source=self._client.address, problem=why
            )
            self.disconnect("upstream_lost", ResultCode.UNAVAILABLE, GONE)

    def _root(self, octets: bytes) -> bytes:
        offered = self.section.tls is not None and not self._client.secure
        return as_served_here(octets, start_tls=offered)


def _abandoned(frame: Frame) -> int:
    request = decode_request(frame)
    assert isinstance(request, AbandonRequest)  # noqa: S101 - by its tag
    return request.message_id


def _about_tls(frame: Frame, code: ResultCode) -> bytes:
    return encode_response(frame.message_id, ExtendedResponse(Result(code), START_TLS))
