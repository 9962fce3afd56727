"""The policy of a login, read downward: password, then factor, then one decision with one reason."""

from __future__ import annotations

from authproxy.pipeline.credential import Credential, Typed, TypedPasscode, read_factor
from authproxy.pipeline.decision import Challenge, Decision, Reason, Reject
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    AuditUnavailable,
    Clock,
    Primary,
    PrimaryChallenge,
    PrimaryUnavailable,
    RefusalKind,
    Refused,
    Verified,
)
from authproxy.pipeline.record import Facts, Recorder
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.second_step import SecondStep
from authproxy.secret import Secret


class Pipeline:
    """One section's logins."""

    def __init__(
        self, policy: Policy, primary: Primary, second: SecondStep, recorder: Recorder, clock: Clock
    ) -> None:
        self._policy = policy
        self._primary = primary
        self._second = second
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
            facts.cause = facts.why = "audit_unavailable"
            decision = Reject(Reason.FAIL_CLOSED)
            self._recorder.decided(request, facts, decision)
        return decision

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject:
        """A rejection that needs nobody's word, recorded like any other."""
        decision = Reject(reason)
        self._recorder.decided(request, Facts(username=request.username.canonical, cause=cause), decision)
        return decision

    async def _decide(self, request: AuthRequest, facts: Facts) -> Decision:
        if request.state:
            return await self._answer(request, facts)
        if request.opaque:
            return await self._opaque(request, facts)
        if self._policy.no_primary:
            return await self._no_primary(request, facts)
        return await self._by_password(request, facts)

    async def _by_password(self, request: AuthRequest, facts: Facts) -> Decision:
        match self._policy.mode:
            case Mode.AUTO:
                return await self._first(request, self._policy.append.split(request.password), facts)
            case Mode.CHALLENGE:
                return await self._first(request, Credential(request.password), facts)
            case Mode.CONCAT:
                return await self._concat(request, facts)
            case Mode.FACTOR_ONLY:
                return await self._no_primary(request, facts)

    async def _opaque(self, request: AuthRequest, facts: Facts) -> Decision:
        """A directory must not be shown it as a password, and no factor can stand behind it."""
        if not self._policy.radius_primary or self._policy.mode is Mode.CONCAT:
            facts.cause = "credential"
            return Reject(Reason.MALFORMED)
        return await self._first(request, Credential(request.password), facts)

    async def _no_primary(self, request: AuthRequest, facts: Facts) -> Decision:
        """Whoever asks has checked the password: what comes here is the factor, or says nothing of it."""
        whole = request.password.reveal()
        typed: Typed | None
        match self._policy.mode:
            case Mode.FACTOR_ONLY:
                if not whole:
                    return Reject(Reason.EMPTY_PASSWORD)
                typed = read_factor(whole) or TypedPasscode(request.password)
            case Mode.CHALLENGE:
                typed = None
            case Mode.AUTO | Mode.CONCAT:
                typed = self._policy.append.split(request.password).typed or read_factor(whole)
        return await self._second.alone(request, typed, facts)

    async def _answer(self, request: AuthRequest, facts: Facts) -> Decision:
        """R41: what carries a State is an answer, and never a first step of ours."""
        if self._second.asked(request.state):
            if request.opaque:
                facts.cause = "credential"
                return Reject(Reason.MALFORMED)
            return await self._second.answered(request, facts)
        if self._policy.radius_primary:
            return await self._first(request, Credential(request.password), facts)
        facts.cause = "unknown"
        return Reject(Reason.BAD_STATE)

    async def _concat(self, request: AuthRequest, facts: Facts) -> Decision:
        credential = self._policy.append.split(request.password)
        if credential.password and credential.typed is None:
            facts.cause = "no_factor_appended"
            return Reject(Reason.NO_USABLE_FACTOR, "Append a passcode or a factor to the password.")
        return await self._first(request, credential, facts)

    async def _first(self, request: AuthRequest, credential: Credential, facts: Facts) -> Decision:
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
            case PrimaryChallenge(message, state, carried):
                return Challenge(Reason.PRIMARY_CHALLENGE, message, state, carried)
            case Verified():
                return await self._second.behind(request, credential.typed, answer, facts)

    async def _ask_primary(
        self, request: AuthRequest, password: Secret, facts: Facts
    ) -> Verified | Refused | PrimaryChallenge:
        began = self._clock()
        verified = False
        try:
            answer = await self._primary.verify(request, password)
            match answer:
                case Verified(username, dn):
                    verified = True
                    facts.username, facts.dn = username, dn
                case Refused(cause):
                    facts.cause = cause
                case PrimaryChallenge():
                    facts.cause = "challenge"
        finally:
            facts.primary_ms = (self._clock() - began) * 1000
            self._recorder.primary_answered(request, facts, verified)
        return answer
