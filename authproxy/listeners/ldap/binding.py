"""A session's binds: what each needs, how it is decided, and as whom session and upstream are bound then (L8 to L10).

A client that hasn't passed both factors isn't bound as anybody. Its connection to the directory is unbound too, before
the client hears of it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from authproxy.listeners.ldap import rules
from authproxy.listeners.ldap.answers import Answered, bind_refusal, granted, refused
from authproxy.listeners.ldap.attempt import Attempt
from authproxy.listeners.ldap.ports import Client
from authproxy.listeners.ldap.relay import Relay
from authproxy.listeners.ldap.section import LdapSection
from authproxy.listeners.work import run
from authproxy.observe.log import Log
from authproxy.pipeline.decision import Accept, Decision, Reason, Reject
from authproxy.pipeline.ports import PrimaryUnavailable, Refused, Verified
from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import BindRequest, ExtendedRequest, encode_request
from authproxy.protocols.ldap.responses import BIND_RESPONSE, BindResponse, Result, encode_response
from authproxy.protocols.ldap.result import ResultCode

# What a reload may have taken away; the others were let in by both factors, or by the cloud.
_WITHOUT_FACTOR = frozenset({Reason.FAIL_OPEN, Reason.PRIMARY_ONLY, Reason.EXEMPT, Reason.RECENT_APPROVAL})


class Holder(Protocol):
    """A session, as its binds see it."""

    @property
    def ended(self) -> bool: ...

    @property
    def section(self) -> LdapSection: ...

    def adopt_section(self) -> None:
        """Use the current configuration (A13)."""

    def become(self, who: rules.Who) -> None: ...

    def become_nobody(self) -> None: ...

    def wait(self) -> None:
        """Hold what arrives until `go_on`."""

    def go_on(self) -> None: ...

    def end(self) -> None: ...

    def disconnect(self, cause: str, code: ResultCode) -> None: ...


class Binding:
    """Implements attempt.Asker. One bind is decided at a time."""

    def __init__(self, holder: Holder, client: Client, relay: Relay, *, reactor: Any, log: Log) -> None:
        self._holder = holder
        self._client = client
        self._relay = relay
        self._reactor = reactor
        self._log = log
        self._attempt: Attempt | None = None
        self._binds = 0

    @property
    def pending(self) -> bool:
        return self._attempt is not None

    def begin(self, frame: Frame, bind: BindRequest) -> None:
        self._holder.adopt_section()
        # RFC 4511 §4.2.1: whatever comes of it, who was bound before is no more.
        self._holder.become_nobody()
        section = self._holder.section
        password = rules.password_of(bind, section.options, secure=self._client.secure)
        if isinstance(password, ResultCode):
            self.let_upstream_go()
            self._relay.say(_answer_at_once(frame.message_id, password))
            return
        self._holder.wait()
        first = not self._binds
        anybody = first and section.options.exempt_primary_bind
        attempt = Attempt(self, frame, bind, password, first=first, anybody=anybody)
        self._attempt = attempt

        def decided(decision: Decision) -> None:
            self._decided(attempt, decision)

        work = section.ask(attempt, self._client.address, self._reactor.seconds(), decided)
        if work is not None:
            self._run(work, attempt)

    def let_upstream_go(self) -> None:
        """Close the upstream connection, unless it isn't bound anyway (L9)."""
        if self._relay.authorised:
            self._relay.drop("refused")

    # ---- decisions

    def _run(self, work: Coroutine[Any, Any, None], attempt: Attempt) -> None:
        def failed(bug: BaseException) -> None:
            self._log.failure("ldap.login_failed", bug)
            self._refuse(attempt, Reject(Reason.INTERNAL))

        run(work, failed)

    def _decided(self, attempt: Attempt, decision: Decision) -> None:
        """Called by what decides for others, too: nothing may come back out of here (A19)."""
        if self._holder.ended:
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
            self._holder.disconnect("internal", ResultCode.OTHER)

    async def _join(self, attempt: Attempt, theirs: Answered, decision: Accept) -> None:
        """L19: the answer of a login that was waiting counts here, once this connection is bound as the same entry."""
        section = self._holder.section
        options = section.options
        password = options.append.split(attempt.password).password
        try:
            own = await attempt.verify(password, self._reactor.seconds() + options.bind_timeout)
        except PrimaryUnavailable:
            own = None
        match own:
            case Verified() if decision.reason in _WITHOUT_FACTOR and self._is_reloaded(section):
                # F3: as for whoever a reload finds waiting.
                self._refuse(attempt, Reject(Reason.FAIL_CLOSED))
            case Verified(username, dn) if (username, dn) == (theirs.username, theirs.dn) and attempt.granted:
                self._accept(attempt, attempt.granted, decision)
            case Refused(_, _, _, carried):
                self._refuse(attempt, Reject(Reason.PRIMARY_REJECTED, carried=carried))
            case _:
                self._refuse(attempt, Reject(Reason.PRIMARY_UNAVAILABLE))

    def _is_reloaded(self, section: LdapSection) -> bool:
        self._holder.adopt_section()
        return self._holder.section is not section

    def _accept(self, attempt: Attempt, answer: Answered, decision: Accept) -> None:
        if self._holder.ended or self._attempt is not attempt:
            return
        if not (self._relay.connected and self._relay.authorised):
            # The directory has gone away while the user's phone was asked.
            self._refuse(attempt, Reject(Reason.PRIMARY_UNAVAILABLE))
            return
        self._attempt = None
        self._binds += 1
        exempt = decision.reason is Reason.EXEMPT
        self._holder.become(rules.EXEMPT if exempt else rules.BOUND)
        self._relay.say(granted(answer, attempt.frame.message_id))
        if not exempt and not self._holder.section.options.allow_searches_after_bind:
            self._client.close("searches_not_allowed")
            self._holder.end()
            return
        self._holder.go_on()

    def _refuse(self, attempt: Attempt, decision: Decision) -> None:
        if self._holder.ended or self._attempt is not attempt:
            return
        self._attempt = None
        # L9: first nobody there, then the answer here.
        self.let_upstream_go()
        self._relay.say(refused(decision, attempt.frame.message_id))
        self._holder.go_on()

    # ---- what an attempt asks (attempt.Asker)

    async def bind_upstream(self, message_id: int, octets: bytes, deadline: float) -> Frame:
        deadline = self.soon(deadline)
        if not self._relay.connected:
            await self._relay.connect(self._holder.section.upstreams, deadline)
        # Until it has answered, it may be somebody's.
        self._relay.authorised = True
        return await self._relay.ask(message_id, BIND_RESPONSE, octets, deadline)

    async def ask_upstream(self, request: ExtendedRequest, tag: int, deadline: float) -> Frame:
        message_id = self._relay.free_id()
        octets = encode_request(message_id, request)
        return await self._relay.ask(message_id, tag, octets, self.soon(deadline))

    async def confirm(self, name: str, deadline: float, typed: str) -> Verified | Refused:
        return await self._holder.section.identities.confirm(name, deadline, typed)

    def upstream_bound(self, success: bool) -> None:
        self._relay.authorised = success

    def soon(self, deadline: float = float("inf")) -> float:
        """The deadline by which the directory has to answer."""
        soon: float = self._reactor.seconds() + self._holder.section.options.bind_timeout
        return min(deadline, soon)


def _answer_at_once(message_id: int, code: ResultCode) -> bytes:
    if code is ResultCode.SUCCESS:
        return encode_response(message_id, BindResponse(Result(ResultCode.SUCCESS)))
    return bind_refusal(message_id, code)
