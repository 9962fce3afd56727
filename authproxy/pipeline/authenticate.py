"""The policy of a login, read downward: password, then factor, then one decision with one reason."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from authproxy.pipeline.credential import Credential, Typed, TypedPasscode, read_factor
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.fail_mode import UNAVAILABLE
from authproxy.pipeline.failure_limit import Failures
from authproxy.pipeline.grants import Groups
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
from authproxy.pipeline.present import RELOADED
from authproxy.pipeline.record import Facts, Recorder
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.second_step import SecondStep
from authproxy.pipeline.username import reads_two_ways

_REFUSED = {
    RefusalKind.CREDENTIALS: Reason.PRIMARY_REJECTED,
    RefusalKind.NOT_IN_GROUP: Reason.NOT_IN_GROUP,
    RefusalKind.RATE_LIMITED: Reason.RATE_LIMITED,
}
# By what a reload may take away.
_WITHOUT_FACTOR = frozenset({Reason.EXEMPT, Reason.FAIL_OPEN, Reason.PRIMARY_ONLY, Reason.RECENT_APPROVAL})


class Pipeline:
    """Decides the logins of one section."""

    def __init__(
        self,
        policy: Policy,
        primary: Primary,
        second: SecondStep,
        recorder: Recorder,
        clock: Clock,
        groups: Groups | None = None,
        failures: Failures | None = None,
    ) -> None:
        """`groups` is needed if the policy grants attributes by group."""
        self._policy = policy
        self._primary = primary
        self._second = second
        self._recorder = recorder
        self._clock = clock
        self._groups = groups
        self._failures = Failures() if failures is None else failures
        self._present = second.present

    async def authenticate(self, request: AuthRequest) -> Decision:
        """Decide and record. Raises nothing but our bugs, which the caller turns into a rejection."""
        facts = Facts(request.username.canonical)
        decision = await self._decide(request, facts)
        if isinstance(decision, Challenge) and request.opaque:
            # A round of EAP: nothing is decided by it, and nobody had to prove anything to get so far.
            return decision
        decided_under = self._present.version
        if isinstance(decision, Accept):
            decision = await self._granted(request, facts, decision)
        if isinstance(decision, Accept):
            decision = await self._still_admitted(request, facts, decision, decided_under)
        try:
            self._recorder.decided(request, facts, decision)
        except AuditUnavailable:
            # F8: nobody passes an open door unrecorded.
            facts.cause = facts.why = "audit_unavailable"
            decision = Reject(Reason.FAIL_CLOSED)
            self._recorder.decided(request, facts, decision)
        if isinstance(decision, Reject):
            self._second.refused(request, facts)
        return decision

    async def _granted(self, request: AuthRequest, facts: Facts, accept: Accept) -> Decision:
        """The one place that every Accept comes through, whatever led to it.

        Who isn't known to be outside a group is not treated as outside: what restricts them would be missing.
        """
        grants = self._policy.grants
        if not grants.rules:
            return accept
        if not self._policy.confirms_names and grants.may_mean(facts.username):
            # R33: with another form of their name, or with another's, users would choose what they are given.
            facts.cause = "name_unproven"
            return Reject(Reason.MALFORMED)
        if self._groups is not None and grants.unknown(facts):
            # An answer to a challenge that another node, an earlier start or an earlier configuration put.
            try:
                facts.groups, facts.outside = await self._groups.groups_of(
                    facts.username, facts.dn, request.deadline
                )
            except PrimaryUnavailable as unavailable:
                facts.cause, facts.detail = "groups_unavailable", str(unavailable)
                return Reject(Reason.PRIMARY_UNAVAILABLE)
        if grants.unknown(facts):
            facts.cause = "groups_unknown"
            return Reject(Reason.INTERNAL)
        return replace(accept, granted=(*accept.granted, *grants.of(facts)))

    async def _still_admitted(
        self, request: AuthRequest, facts: Facts, accept: Accept, decided_under: object
    ) -> Decision:
        """F3: a reload may have come since the password was verified, for an answer to a challenge long since.

        What lets in without a factor counts under the configuration that it was decided under, and no other.
        """
        try:
            admitted = await self._present.admits(facts, request.deadline)
            if admitted and not (
                accept.reason in _WITHOUT_FACTOR and self._present.version is not decided_under
            ):
                return accept
        except PrimaryUnavailable as unavailable:
            facts.cause, facts.detail = "unavailable", str(unavailable)
            return Reject(Reason.PRIMARY_UNAVAILABLE)
        facts.cause = facts.why = RELOADED
        return Reject(Reason.FAIL_CLOSED, UNAVAILABLE)

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject:
        """Reject without asking anything, and record it like any other decision."""
        decision = Reject(reason)
        self._recorder.decided(request, Facts(username=request.username.canonical, cause=cause), decision)
        return decision

    def _decide(self, request: AuthRequest, facts: Facts) -> Awaitable[Decision]:
        """The way that the login goes. No coroutine: each on the way costs anew whenever what it waits for comes."""
        if not self._policy.asks_a_directory and reads_two_ways(request.username.canonical):
            return _which_of_two(facts)
        if request.state:
            return self._answer(request, facts)
        if request.opaque:
            return self._opaque(request, facts)
        if self._policy.no_primary:
            return self._no_primary(request, facts)
        return self._by_password(request, facts)

    def _by_password(self, request: AuthRequest, facts: Facts) -> Awaitable[Decision]:
        match self._policy.mode:
            case Mode.AUTO:
                return self._first(request, self._policy.append.split(request.password), facts)
            case Mode.CHALLENGE:
                return self._first(request, Credential(request.password), facts)
            case Mode.CONCAT:
                return self._concat(request, facts)
            case Mode.FACTOR_ONLY:
                return self._no_primary(request, facts)

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
        if over := self._failures.refuses(request, self._clock()):
            facts.cause = over
            return Reject(Reason.RATE_LIMITED)
        answer = None
        began = self._clock()
        try:
            answer = await self._primary.verify(request, credential.password)
        except PrimaryUnavailable as unavailable:
            facts.cause = "unavailable"
            facts.detail = str(unavailable)
            return Reject(Reason.PRIMARY_UNAVAILABLE)
        finally:
            facts.primary_ms = (self._clock() - began) * 1000
            self._primary_answered(request, answer, facts)
        match answer:
            case Refused(cause, kind, message, carried):
                facts.cause = cause
                if kind is not RefusalKind.NOT_IN_GROUP:
                    self._failures.failed(request, self._clock())
                return Reject(_REFUSED[kind], message, carried)
            case PrimaryChallenge(message, state, carried):
                return Challenge(Reason.PRIMARY_CHALLENGE, message, state, carried)
            case Verified():
                return await self._second.behind(request, credential.typed, answer, facts)

    def _primary_answered(
        self, request: AuthRequest, answer: Verified | Refused | PrimaryChallenge | None, facts: Facts
    ) -> None:
        """Note what the primary said; None: nothing."""
        match answer:
            case Verified(username, dn):
                facts.username, facts.dn = username, dn
                facts.groups, facts.outside = answer.groups, answer.outside
                facts.admitted_by = self._policy.admission
            case Refused(cause):
                facts.cause = cause
            case PrimaryChallenge():
                facts.cause = "challenge"
            case None:
                pass
        self._recorder.primary_answered(request, facts, isinstance(answer, Verified))


async def _which_of_two(facts: Facts) -> Reject:
    """R33: whatever is counted and asked under one of the names, the server may take it for the other."""
    facts.cause = "name_ambiguous"
    return Reject(Reason.MALFORMED)
