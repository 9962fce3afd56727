"""The policy of a login, read downward: password, then factor, then one decision with one reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from authproxy.pipeline.credential import AppendMode, Credential, Typed, TypedPasscode, TypedWord
from authproxy.pipeline.decision import Accept, Decision, Reason, Reject
from authproxy.pipeline.factor import AskPasscode, Factor, NoFactor, choose
from authproxy.pipeline.fail_mode import FailMode, MayOpen, after_factor, before_factor
from authproxy.pipeline.ports import (
    AuditUnavailable,
    Clock,
    CloudFailure,
    Device,
    FactorAllow,
    FactorCall,
    FactorDeny,
    OpenDoor,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
    Primary,
    PrimaryUnavailable,
    RefusalKind,
    Refused,
    SecondFactor,
    Verified,
)
from authproxy.pipeline.request import AuthRequest
from authproxy.secret import Secret


@dataclass(slots=True)
class Facts:
    """What is found out on the way, for the record. Milliseconds; None: not asked."""

    username: str = ""
    dn: str = ""
    factor: str | None = None  # a factor's name, never a passcode
    primary_ms: float | None = None
    cloud_ms: float | None = None
    cause: str = ""
    txid: str = ""
    detail: str = ""


class Recorder(Protocol):
    """One event for the primary's word, one for the decision; the metrics follow them."""

    def primary_answered(self, request: AuthRequest, facts: Facts, verified: bool) -> None: ...

    def decided(self, request: AuthRequest, facts: Facts, decision: Decision) -> None:
        """Raises AuditUnavailable when an Accept by fail open could not be written down."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A section's rules."""

    fail_mode: FailMode
    append: AppendMode = field(default_factory=AppendMode)
    factors: tuple[Factor, ...] = (Factor.AUTO,)
    exempt: frozenset[str] = frozenset()  # canonical names


# What the cloud's status word means as a reason; every other denial is the user's.
_DENIALS = {
    "timeout": Reason.FACTOR_TIMEOUT,
    "fraud": Reason.FRAUD,
    "locked_out": Reason.LOCKED_OUT,
}


class Pipeline:
    """One section's logins."""

    def __init__(
        self,
        policy: Policy,
        primary: Primary,
        second_factor: SecondFactor,
        door: OpenDoor,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self._policy = policy
        self._primary = primary
        self._second_factor = second_factor
        self._door = door
        self._recorder = recorder
        self._clock = clock

    async def authenticate(self, request: AuthRequest) -> Decision:
        """Decide and record. Exceptions other than the ports' own are bugs, and the caller's to reject."""
        facts = Facts(username=request.username.canonical)
        decision = await self._decide(request, facts)
        try:
            self._recorder.decided(request, facts, decision)
        except AuditUnavailable:
            # F8: nobody passes an open door unrecorded.
            facts.cause = "audit_unavailable"
            decision = Reject(Reason.FAIL_CLOSED)
            self._recorder.decided(request, facts, decision)
        return decision

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject:
        """A rejection that needs nobody's word, recorded like any other."""
        decision = Reject(reason)
        self._recorder.decided(request, Facts(username=request.username.canonical, cause=cause), decision)
        return decision

    async def _decide(self, request: AuthRequest, facts: Facts) -> Decision:
        credential = self._policy.append.split(request.password)
        # RFC 4513 §5.1.2: a directory takes an empty password for an anonymous bind and says yes (R25).
        if not credential.password:
            return Reject(Reason.EMPTY_PASSWORD)
        try:
            answer = await self._ask_primary(request, credential.password, facts)
        except PrimaryUnavailable as unavailable:
            facts.cause = "unavailable"
            facts.detail = str(unavailable)
            return Reject(Reason.PRIMARY_UNAVAILABLE)
        match answer:
            case Refused(cause, kind, message, carried):
                facts.cause = cause
                not_in_group = kind is RefusalKind.NOT_IN_GROUP
                reason = Reason.NOT_IN_GROUP if not_in_group else Reason.PRIMARY_REJECTED
                return Reject(reason, message, carried)
            case Verified():
                return await self._second(request, credential, answer, facts)

    async def _ask_primary(self, request: AuthRequest, password: Secret, facts: Facts) -> Verified | Refused:
        began = self._clock()
        verified = False
        try:
            answer = await self._primary.verify(request, password)
            if isinstance(answer, Verified):
                verified = True
                facts.username, facts.dn = answer.username, answer.dn
            else:
                facts.cause = answer.cause
        finally:
            facts.primary_ms = (self._clock() - began) * 1000
            self._recorder.primary_answered(request, facts, verified)
        return answer

    async def _second(
        self, request: AuthRequest, credential: Credential, verified: Verified, facts: Facts
    ) -> Decision:
        # R33: the name that the directory confirmed, not the one that was typed.
        if verified.username in self._policy.exempt:
            return Accept(Reason.EXEMPT, carried=verified.carried)
        began = self._clock()
        try:
            return await self._ask_cloud(request, credential.typed, verified, facts)
        finally:
            facts.cloud_ms = (self._clock() - began) * 1000

    async def _ask_cloud(
        self, request: AuthRequest, typed: Typed | None, verified: Verified, facts: Facts
    ) -> Decision:
        try:
            preauth = await self._second_factor.preauth(request, verified.username)
        except CloudFailure as failure:
            return await self._cloud_failed(request, typed, verified, facts, failure)
        match preauth:
            case PreauthAllow(message):
                return Accept(Reason.CLOUD_ALLOW, message, verified.carried)
            case PreauthDeny(message):
                return Reject(Reason.CLOUD_DENY, message)
            case PreauthEnroll(message, portal_url):
                return Reject(Reason.ENROLL_REQUIRED, " ".join(filter(None, (message, portal_url))))
            case PreauthFactors(devices, _):
                return await self._ask_factor(request, typed, verified, devices, facts)

    async def _ask_factor(
        self,
        request: AuthRequest,
        typed: Typed | None,
        verified: Verified,
        devices: tuple[Device, ...],
        facts: Facts,
    ) -> Decision:
        match choose(typed, self._policy.factors, devices):
            case AskPasscode():
                facts.factor = "passcode"
                return Reject(Reason.NO_USABLE_FACTOR, "Append a passcode to the password.")
            case NoFactor(message):
                return Reject(Reason.NO_USABLE_FACTOR, message)
            case FactorCall() as call:
                facts.factor = call.factor
        try:
            verdict = await self._second_factor.auth(request, verified.username, call)
        except CloudFailure as failure:
            facts.cause, facts.detail = failure.failure.value, failure.detail
            return after_factor(failure)
        facts.txid = verdict.txid
        match verdict:
            case FactorAllow(message):
                return Accept(Reason.BOTH_FACTORS, message, verified.carried)
            case FactorDeny(status, message):
                facts.cause = status
                return Reject(_DENIALS.get(status, Reason.FACTOR_DENIED), message)

    async def _cloud_failed(
        self,
        request: AuthRequest,
        typed: Typed | None,
        verified: Verified,
        facts: Facts,
        failure: CloudFailure,
    ) -> Decision:
        facts.cause, facts.detail = failure.failure.value, failure.detail
        facts.factor = _name_of(typed)
        match before_factor(self._policy.fail_mode, failure):
            case Reject() as closed:
                return closed
            case MayOpen():
                shut = await self._door.may_open(request, failure)
        if shut:
            facts.detail = f"{failure.detail}; kept shut: {shut}"
            return Reject(Reason.FAIL_CLOSED)
        if typed is not None:
            facts.detail = f"{failure.detail}; {facts.factor} was typed and went unchecked"
        return Accept(Reason.FAIL_OPEN, carried=verified.carried)


def _name_of(typed: Typed | None) -> str | None:
    """The factor's name for the record; a passcode itself is never named (S1)."""
    match typed:
        case None:
            return None
        case TypedPasscode():
            return "passcode"
        case TypedWord(word, number):
            return f"{word}{number or ''}"
