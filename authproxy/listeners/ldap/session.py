"""One client's session: its operations in their order, and who it is.

While a bind is decided nothing else moves (L8). Whoever isn't behind both factors is nobody here, and the connection
to the directory is nobody's either before the client hears of it (L9, L10).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from authproxy.listeners.ldap import rules
from authproxy.listeners.ldap.answers import RELAYED, Answered, bind_refusal, granted, refusal, refused
from authproxy.listeners.ldap.attempt import Attempt
from authproxy.listeners.ldap.ports import Client
from authproxy.listeners.ldap.relay import GONE, Relay
from authproxy.listeners.ldap.root import as_served_here
from authproxy.listeners.ldap.section import LdapSection
from authproxy.observe.log import Log
from authproxy.pipeline.decision import Accept, Decision, Reason, Reject
from authproxy.pipeline.ports import PrimaryUnavailable, Refused, Verified
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import (
    EXTENDED,
    START_TLS,
    UNBIND,
    AbandonRequest,
    BindRequest,
    ExtendedRequest,
    Simple,
    decode_request,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    BIND_RESPONSE,
    BindResponse,
    ExtendedResponse,
    Result,
    encode_response,
    notice_of_disconnection,
)
from authproxy.protocols.ldap.result import ResultCode
from authproxy.secret import Secret


class Session:
    """Implements attempt.Asker. `section()` is the section as it is configured now."""

    def __init__(self, client: Client, section: Callable[[], LdapSection], *, reactor: Any, log: Log) -> None:
        self._client = client
        self._configured = section
        self._section = section()
        self._reactor = reactor
        self._log = log
        self._relay = Relay(client, root=self._root, lost=self._upstream_lost, reactor=reactor)
        self._ended = False
        self._busy = False  # a bind, or connecting to the directory
        self._attempt: Attempt | None = None  # the bind
        self._handling = False  # messages, right now
        self._queue: deque[Frame] = deque()  # what came meanwhile
        self._queued = 0  # octets in it
        self._following = False  # more came with the message that is being handled
        self._binds = 0
        self._who = self._nobody()

    # ---- what the connection asks

    @property
    def bound(self) -> bool:
        return self._who.bound

    @property
    def busy(self) -> bool:
        """A bind is being decided, or the directory connected to."""
        return self._busy and not self._ended

    @property
    def at_rest(self) -> bool:
        """Nothing is being done for the client."""
        return not (self._busy or self._queue or self._relay.outstanding)

    def silent_since(self) -> float | None:
        """When the directory was last heard of by a client that waits for it."""
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
                if self._ended:
                    return
                if self._busy or self._queue:
                    self._hold(frame)
                else:
                    self._following = at < last
                    self._handle(frame)
            self._handle_held()
        finally:
            self._handling = False

    def end(self, message_id: int = 0) -> None:
        """The client is gone, or goes: so does everything that was its (L18)."""
        if not self._ended:
            self._ended = True
            self._queue.clear()
            self._relay.close(message_id)

    def disconnect(self, cause: str, code: ResultCode, text: str = "") -> None:
        """Say why, where it can be said, and close (L28)."""
        if self._ended:
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
        self._upstream_lost("silent")

    # ---- the client's operations

    def _hold(self, frame: Frame) -> None:
        """L8: it waits. Abandon of the bind itself has nothing to do, and Unbind ends the wait (L18)."""
        match frame.tag:
            case 0x42 if self._attempt is not None:
                self._goodbye(frame)
                return
            case 0x50 if _abandoned(frame) not in {held.message_id for held in self._queue}:
                return
        self._queued += len(frame.octets)
        if len(self._queue) >= self._most_operations() or self._queued > self._section.limits.message_bound:
            self.disconnect("too_many_operations", ResultCode.BUSY, "Too many operations at once.")
            return
        self._queue.append(frame)

    def _goodbye(self, frame: Frame) -> None:
        self._relay.flush()
        self._client.close("")
        self.end(frame.message_id)

    def _go_on(self) -> None:
        """With what waited, unless whoever called is about to do that."""
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

    def _handle_held(self) -> None:
        while self._queue and not self._busy and not self._ended:
            frame = self._queue.popleft()
            self._queued -= len(frame.octets)
            self._following = bool(self._queue)
            self._handle(frame)
        self._relay.flush()

    def _handle(self, frame: Frame) -> None:
        match frame.tag:
            case 0x63 if self._is_usual(frame):
                self._relay.forward(frame)
            case 0x60:
                self._bind(frame)
            case 0x42:
                self._goodbye(frame)
            case 0x50:
                self._relay.abandon(_abandoned(frame), frame.octets)
            case _:
                self._operation(frame)

    def _is_usual(self, frame: Frame) -> bool:
        """A search about which nothing has to be decided."""
        outstanding = self._relay.outstanding
        return (
            self._who.bound
            and self._relay.connected
            and frame.stop == len(frame.octets)
            and frame.message_id not in outstanding
            and not rules.is_root_search(frame)
            and len(outstanding) < self._section.limits.operations_bound
        )

    def _operation(self, frame: Frame) -> None:
        if frame.tag not in RELAYED:
            raise MalformedMessage("operation", f"tag 0x{frame.tag:02x} is no request")
        self._check_id(frame)
        if frame.tag == EXTENDED and rules.extended_name(frame) == START_TLS:
            self._start_tls(frame)
            return
        forbidden = rules.forbidden(frame, self._who, secure=self._client.secure)
        if forbidden is not None:
            self._relay.say(refusal(frame.message_id, frame.tag, forbidden.code, forbidden.text))
        elif len(self._relay.outstanding) >= self._most_operations():
            self.disconnect("too_many_operations", ResultCode.BUSY, "Too many operations at once.")
        elif not self._relay.connected and self._who.bound:
            self._upstream_lost("gone")
        elif not self._relay.connected:
            self._connect_for(frame)
        elif rules.is_root_search(frame):
            self._relay.forward_root(frame)
        else:
            self._relay.forward(frame)

    def _check_id(self, frame: Frame) -> None:
        """L4"""
        if frame.message_id in self._relay.outstanding:
            raise MalformedMessage("message_id", "the id of an operation that is in progress")

    def _most_operations(self) -> int:
        limits = self._section.limits
        return limits.operations_bound if self._who.bound else limits.operations

    def _become(self, who: rules.Who) -> None:
        self._who = who
        limits = self._section.limits
        self._client.allow(limits.message_bound if who.bound else limits.message)

    def _nobody(self) -> rules.Who:
        return rules.Who(anonymous=self._section.options.allow_anonymous)

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
        if self._section.tls is None:
            self._relay.say(_about_tls(frame, ResultCode.PROTOCOL_ERROR))
            return
        # L31: who somebody was in clear, they aren't inside.
        self._become(self._nobody())
        self._let_upstream_go()
        self._client.start_tls(_about_tls(frame, ResultCode.SUCCESS))

    # ---- binds

    def _bind(self, frame: Frame) -> None:
        self._relay.flush()
        self._check_id(frame)
        bind = decode_request(frame)
        assert isinstance(bind, BindRequest)  # noqa: S101 - by its tag
        self._adopt_section()
        # RFC 4511 §4.2.1: whatever comes of it, who was bound before is no more.
        self._become(self._nobody())
        password = self._password(bind)
        if isinstance(password, ResultCode):
            self._let_upstream_go()
            self._relay.say(_answer_at_once(frame.message_id, password))
            return
        self._busy = True
        first = not self._binds
        anybody = first and self._section.options.exempt_primary_bind
        attempt = Attempt(self, frame, bind, password, first=first, anybody=anybody)
        self._attempt = attempt

        def decided(decision: Decision) -> None:
            self._decided(attempt, decision)

        work = self._section.ask(attempt, self._client.address, self._reactor.seconds(), decided)
        if work is not None:
            self._run(work, attempt)
        if self._attempt is attempt and (gone := next(filter(_is_unbind, self._queue), None)):
            self._goodbye(gone)

    def _password(self, bind: BindRequest) -> Secret | ResultCode:
        """What a login is made of; or the answer, where it needs nobody's word."""
        options = self._section.options
        if bind.version != 3:
            return ResultCode.PROTOCOL_ERROR
        if not isinstance(bind.authentication, Simple):
            # L13: who these would bind as can't be known, and what they negotiate would blind us.
            return ResultCode.AUTH_METHOD_NOT_SUPPORTED
        password = bind.authentication.password
        if password and options.require_tls and not self._client.secure:
            return ResultCode.CONFIDENTIALITY_REQUIRED
        if bind.name:
            return password
        if password:
            return ResultCode.INVALID_CREDENTIALS
        # L7: nobody, with nobody's rights; never a login.
        return ResultCode.SUCCESS if options.allow_anonymous else ResultCode.INAPPROPRIATE_AUTHENTICATION

    def _adopt_section(self) -> None:
        """A13: a new bind goes by the configuration of now."""
        section = self._configured()
        if section.upstreams is not self._section.upstreams:
            self._relay.drop("reconfigured")
        self._section = section

    def _run(self, work: Coroutine[Any, Any, None], attempt: Attempt) -> None:
        def failed(failure: Failure) -> None:
            self._log.failure("ldap.login_failed", failure.value or RuntimeError("cancelled"))
            self._refuse(attempt, Reject(Reason.INTERNAL))

        Deferred.fromCoroutine(work).addErrback(failed)

    def _decided(self, attempt: Attempt, decision: Decision) -> None:
        """Called by what decides for others, too: nothing may come back out of here (A19)."""
        if self._ended:
            return
        try:
            match decision:
                case Accept(_, _, carried) if attempt.granted is not None and carried is attempt.granted:
                    self._accept(attempt, attempt.granted, decision)
                case Accept(_, _, Answered() as theirs):
                    self._run(self._join(attempt, theirs, decision), attempt)
                case _:
                    self._refuse(attempt, decision)
        except Exception as bug:  # noqa: BLE001 - one bind's bug must not keep the others from their answer
            self._log.failure("ldap.login_failed", bug)
            self.disconnect("internal", ResultCode.OTHER)

    async def _join(self, attempt: Attempt, theirs: Answered, decision: Accept) -> None:
        """L19: the answer of a login that was waiting counts here, once this connection is bound as the same entry."""
        options = self._section.options
        password = options.append.split(attempt.password).password
        try:
            own = await attempt.verify(password, self._reactor.seconds() + options.bind_timeout)
        except PrimaryUnavailable:
            own = None
        match own:
            case Verified(username, dn) if (username, dn) == (theirs.username, theirs.dn) and attempt.granted:
                self._accept(attempt, attempt.granted, decision)
            case Refused(_, _, _, carried):
                self._refuse(attempt, Reject(Reason.PRIMARY_REJECTED, carried=carried))
            case _:
                self._refuse(attempt, Reject(Reason.PRIMARY_UNAVAILABLE))

    def _accept(self, attempt: Attempt, answer: Answered, decision: Accept) -> None:
        if self._ended or self._attempt is not attempt:
            return
        if not (self._relay.connected and self._relay.authorised):
            # The directory has gone away while the user's phone was asked.
            self._refuse(attempt, Reject(Reason.PRIMARY_UNAVAILABLE))
            return
        self._attempt = None
        self._binds += 1
        exempt = decision.reason is Reason.EXEMPT
        self._become(rules.Who(bound=True, exempt=exempt))
        self._relay.say(granted(answer, attempt.frame.message_id))
        if not exempt and not self._section.options.allow_searches_after_bind:
            self._client.close("searches_not_allowed")
            self.end()
            return
        self._go_on()

    def _refuse(self, attempt: Attempt, decision: Decision) -> None:
        if self._ended or self._attempt is not attempt:
            return
        self._attempt = None
        # L9: first nobody there, then the answer here.
        self._let_upstream_go()
        self._relay.say(refused(decision, attempt.frame.message_id))
        self._go_on()

    # ---- what an attempt asks (attempt.Asker)

    async def bind_upstream(self, message_id: int, octets: bytes, deadline: float) -> Frame:
        deadline = self._soon(deadline)
        if not self._relay.connected:
            await self._relay.connect(self._section.upstreams, deadline)
        # Until it has answered, it may be somebody's.
        self._relay.authorised = True
        return await self._relay.ask(message_id, BIND_RESPONSE, octets, deadline)

    async def ask_upstream(self, request: ExtendedRequest, tag: int, deadline: float) -> Frame:
        message_id = self._relay.free_id()
        octets = encode_request(message_id, request)
        return await self._relay.ask(message_id, tag, octets, self._soon(deadline))

    async def confirm(self, name: str, deadline: float) -> Verified | Refused:
        return await self._section.identities.confirm(name, deadline)

    def upstream_bound(self, success: bool) -> None:
        self._relay.authorised = success

    def _soon(self, deadline: float) -> float:
        soon: float = self._reactor.seconds() + self._section.options.bind_timeout
        return min(deadline, soon)

    # ---- the directory's side

    def _connect_for(self, frame: Frame) -> None:
        """Connect, then do this operation; it waits in front of what comes meanwhile."""
        self._busy = True

        async def connect() -> None:
            try:
                await self._relay.connect(self._section.upstreams, self._soon(float("inf")))
            except PrimaryUnavailable as unavailable:
                self._log.warn("ldap.no_upstream", section=self._section.name, problem=str(unavailable))
                if not self._ended:
                    self._relay.say(refusal(frame.message_id, frame.tag, ResultCode.UNAVAILABLE, GONE))
            else:
                self._queue.appendleft(frame)
                self._queued += len(frame.octets)
            if not self._ended:
                self._go_on()

        def failed(failure: Failure) -> None:
            self._log.failure("ldap.connect_failed", failure.value or RuntimeError("cancelled"))
            self.disconnect("internal", ResultCode.OTHER)

        Deferred.fromCoroutine(connect()).addErrback(failed)

    def _let_upstream_go(self) -> None:
        """Unless the directory takes it for nobody's already."""
        if self._relay.authorised:
            self._relay.drop("refused")

    def _upstream_lost(self, why: str) -> None:
        """L29: another connection would be nobody's, and the client thinks that it is somebody."""
        if not (self._busy or self._ended):
            self.disconnect("upstream_lost", ResultCode.UNAVAILABLE, GONE)

    def _root(self, octets: bytes) -> bytes:
        offered = self._section.tls is not None and not self._client.secure
        return as_served_here(octets, start_tls=offered)


def _is_unbind(frame: Frame) -> bool:
    return frame.tag == UNBIND


def _abandoned(frame: Frame) -> int:
    request = decode_request(frame)
    assert isinstance(request, AbandonRequest)  # noqa: S101 - by its tag
    return request.message_id


def _about_tls(frame: Frame, code: ResultCode) -> bytes:
    return encode_response(frame.message_id, ExtendedResponse(Result(code), START_TLS))


def _answer_at_once(message_id: int, code: ResultCode) -> bytes:
    if code is ResultCode.SUCCESS:
        return encode_response(message_id, BindResponse(Result(ResultCode.SUCCESS)))
    return bind_refusal(message_id, code)
