"""The second factor of a login: what the cloud asks for, by what it is answered, and when it can't be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from authproxy.pipeline.approvals import Approvals, SectionApprovals
from authproxy.pipeline.challenge import Challenges, Forged, Kind, Pending
from authproxy.pipeline.credential import Typed, TypedPasscode, TypedWord
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.factor import AskPasscode, Choice, NoFactor, choose
from authproxy.pipeline.fail_mode import UNAVAILABLE, SlowCloud, after_factor
from authproxy.pipeline.nodes import Held, Over, Repeated, Verdict
from authproxy.pipeline.outage import Outage
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    CarriesNothing,
    Carrying,
    Clock,
    CloudFailure,
    Device,
    FactorAllow,
    FactorDeny,
    FailureClass,
    OpenDoor,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
    SecondFactor,
    Verified,
)
from authproxy.pipeline.present import RELOADED, Present
from authproxy.pipeline.prompt import ENTER_PASSCODE, menu, prompt, understand
from authproxy.pipeline.prompting import Prompts
from authproxy.pipeline.record import Facts
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import plain_names

# R40: how often one login is asked; the answer `sms` asks again.
MOST_ROUNDS = 3
ONE_AT_A_TIME = "Another login of yours waits for your answer."
PASSCODES_ONLY = "Too many prompts were not approved. Log in with a passcode."
ENROLL_FIRST = "Finish enrolling, then log in again."

# What the cloud's status word means as a reason; every other denial is the user's.
_DENIALS = {
    "timeout": Reason.FACTOR_TIMEOUT,
    "fraud": Reason.FRAUD,
    "locked_out": Reason.LOCKED_OUT,
}

# The cloud wants no factor, and may want one of the same user under another name.
_NO_FACTOR = frozenset({Reason.CLOUD_ALLOW, Reason.ENROLL_PROMPT, Reason.ENROLL_REQUIRED})

_MOST_READINGS = 3  # of one name, each of which costs a call

Devices = tuple[Device, ...]


class SecondStep:
    """One section's."""

    def __init__(
        self,
        policy: Policy,
        cloud: SecondFactor,
        door: OpenDoor,
        challenges: Challenges,
        clock: Clock,
        prompts: Prompts | None = None,
        approvals: SectionApprovals | None = None,
        is_slow: Callable[[], bool] = lambda: False,
        present: Present | None = None,
        carrying: Carrying | None = None,
    ) -> None:
        """`approvals` None: none counts twice. `is_slow`: the cloud answers later than anyone should wait.

        `present` None: this configuration never changes. `carrying` None: no Accept of the primary's carries anything.
        """
        self._carrying = CarriesNothing() if carrying is None else carrying
        self._policy = policy
        self._cloud = cloud
        self._door = door
        self._present = Present(policy, door) if present is None else present
        self._outage = Outage(policy, door, self._present)
        self._challenges = challenges
        self._clock = clock
        self._approvals = Approvals(b"").of_section(0) if approvals is None else approvals
        self._is_slow = is_slow
        self._prompts = Prompts() if prompts is None else prompts

    @property
    def present(self) -> Present:
        return self._present

    async def behind(
        self, request: AuthRequest, typed: Typed | None, verified: Verified, facts: Facts
    ) -> Decision:
        """Behind a verified primary. The only way on which an outage may open (F4)."""
        if self._policy.is_exempt(request, verified):
            if self._present.exempts(request, verified):
                return Accept(Reason.EXEMPT, "", verified.carried)
            # Not asked for a factor: of an exempt bind nobody has found out whose factor that would be.
            facts.cause = facts.why = RELOADED
            return Reject(Reason.FAIL_CLOSED, UNAVAILABLE)
        began = self._clock()
        try:
            return await self._behind(request, typed, verified, facts)
        finally:
            self._took(began, facts)

    async def alone(self, request: AuthRequest, typed: Typed | None, facts: Facts) -> Decision:
        """With no password before it. Nothing opens here, and nobody is exempt: no primary vouches for anyone (F3)."""
        facts.factor = _name_of(typed)
        verified = Verified(request.username.canonical)
        began = self._clock()
        try:
            decision = await self._alone(request, typed, verified, facts)
        finally:
            self._took(began, facts)
        if isinstance(decision, Accept) and self._present.checks_passwords:
            return _no_password(facts)
        return decision

    def asked(self, state: bytes) -> bool:
        """Whether this State claims to be of a challenge from here."""
        return self._challenges.is_own(state)

    async def answered(self, request: AuthRequest, facts: Facts) -> Decision:
        """The answer to a challenge. A factor was asked for, so nothing but an allow lets anyone in (F3)."""
        try:
            pending = await self._challenges.answer(request, self._carrying)
        except Forged as forged:
            facts.cause = forged.cause
            return Reject(Reason.BAD_STATE)
        if pending.restored and self._policy.carries:
            # A session without the attributes that restrict it is more than the primary granted.
            facts.cause = "forgotten"
            return Reject(Reason.BAD_STATE)
        if pending.kind is Kind.ALONE and self._policy.checks_passwords:
            # Put by an earlier configuration, or another node's.
            return _no_password(facts)
        facts.username, facts.dn = pending.username, pending.dn
        facts.groups, facts.outside = pending.groups, pending.outside
        facts.admitted_by = pending.admitted_by
        if pending.kind is Kind.ENROLL:
            return Reject(Reason.ENROLL_REQUIRED, ENROLL_FIRST)
        began = self._clock()
        try:
            decision = await self._answered(request, pending, facts)
        except CloudFailure as failure:
            decision = _closed(failure, facts)
        finally:
            self._took(began, facts)
        alone = pending.kind is Kind.ALONE
        if alone and isinstance(decision, Accept) and self._present.checks_passwords:
            return _no_password(facts)
        return decision

    def _took(self, began: float, facts: Facts) -> None:
        facts.cloud_ms = (self._clock() - began) * 1000

    # ---- the three ways

    async def _behind(
        self, request: AuthRequest, typed: Typed | None, verified: Verified, facts: Facts
    ) -> Decision:
        factor = _name_of(typed)
        if (passed := await self._outage.primary_only(request, verified, facts, factor)) is not None:
            return passed
        try:
            self._refuse_slow()
            devices = await self._preauth(request, verified)
        except CloudFailure as failure:
            facts.factor = factor
            return await self._outage.behind(request, verified, facts, failure)
        if not isinstance(devices, tuple):
            return await self._by_name(request, verified, devices, facts)
        pending = Pending(
            Kind.FACTOR,
            verified.username,
            1,
            verified.dn,
            verified.carried,
            verified.groups,
            verified.outside,
            facts.admitted_by,
        )
        if self._policy.mode is Mode.CHALLENGE:
            return await self._prompt(request, pending, self._menu(verified, devices))
        ask = self._asked_once if self._approvals.kept else self._choose
        try:
            return await ask(request, typed, pending, devices, facts)
        except CloudFailure as failure:
            return _closed(failure, facts)

    async def _asked_once(
        self, request: AuthRequest, typed: Typed | None, pending: Pending, devices: Devices, facts: Facts
    ) -> Decision:
        """L19: who has approved this very login a moment ago isn't asked again, where the section wants it so."""
        verified = Verified(pending.username, pending.dn, carried=pending.carried)
        password = self._policy.append.split(request.password).password
        if self._approvals.recall(request, verified, password, self._clock()):
            return Accept(Reason.RECENT_APPROVAL, carried=verified.carried)
        decision = await self._choose(request, typed, pending, devices, facts)
        if isinstance(decision, Accept):
            self._approvals.remember(request, verified, password, self._clock())
        return decision

    def refused(self, request: AuthRequest, facts: Facts) -> None:
        """Whatever the reason, an approval from before it counts no more."""
        self._approvals.forget_user(facts.username, request.username.canonical)

    def _choose(
        self, request: AuthRequest, typed: Typed | None, pending: Pending, devices: Devices, facts: Facts
    ) -> Awaitable[Decision]:
        if typed is None and self._rather_asks(request):
            return self._ask(request, AskPasscode(), pending, facts)
        return self._ask(request, choose(typed, self._policy.factors, devices), pending, facts)

    async def _answered(self, request: AuthRequest, pending: Pending, facts: Facts) -> Decision:
        verified = Verified(pending.username, pending.dn, carried=pending.carried)
        # Asked again: the devices may have changed, and a State has no room for them.
        devices = await self._preauth(request, verified)
        if not isinstance(devices, tuple):
            # R40: a State that was answered leads nowhere but to the prompt that came of it.
            return self._answered_by(pending, Over.OVER, facts) if pending.answered else devices
        decision = await self._ask(request, understand(request.password, devices), pending, facts)
        if facts.factor == "sms" and facts.cause == "sent" and pending.round < MOST_ROUNDS:
            again = replace(pending, round=pending.round + 1)
            return await self._prompt(request, again, self._menu(verified, devices))
        return decision

    async def _alone(
        self, request: AuthRequest, typed: Typed | None, verified: Verified, facts: Facts
    ) -> Decision:
        try:
            self._refuse_slow()
            devices = await self._preauth(request, verified)
        except CloudFailure as failure:
            return await self._outage.alone(request, facts, failure)
        if not isinstance(devices, tuple):
            return await self._by_name(request, verified, devices, facts)
        pending = Pending(Kind.ALONE, verified.username)
        if self._policy.mode is Mode.CHALLENGE:
            return await self._prompt(request, pending, self._menu(verified, devices))
        try:
            return await self._choose(request, typed, pending, devices, facts)
        except CloudFailure as failure:
            return _closed(failure, facts)

    # ---- a slow cloud

    def _refuse_slow(self) -> None:
        """Raises CloudFailure: the section would rather go by its fail mode. No factor has been asked for here."""
        if self._policy.slow_cloud is SlowCloud.FAILMODE and self._is_slow():
            raise CloudFailure(
                FailureClass.SLOW, "not asked: the cloud answers too slowly, and so does the probe"
            )

    def _rather_asks(self, request: AuthRequest) -> bool:
        """For a passcode, which is one call and no waiting. Who wants a push all the same can type it."""
        return self._policy.slow_cloud is SlowCloud.PASSCODE and request.can_challenge and self._is_slow()

    # ---- the cloud's two words

    async def _preauth(self, request: AuthRequest, verified: Verified) -> Devices | Decision:
        """The user's devices when a factor is due, else the decision. Raises CloudFailure."""
        match await self._cloud.preauth(request, verified.username):
            case PreauthAllow(message):
                return Accept(Reason.CLOUD_ALLOW, message, verified.carried)
            case PreauthDeny(message):
                return Reject(Reason.CLOUD_DENY, message)
            case PreauthEnroll(message, portal_url):
                return await self._enroll(request, verified, " ".join(filter(None, (message, portal_url))))
            case PreauthFactors(devices, _):
                return devices

    async def _by_name(
        self, request: AuthRequest, verified: Verified, decision: Decision, facts: Facts
    ) -> Decision:
        """What the cloud says when it wants no factor, if the name is surely that of whose password it was (R33)."""
        if verified.proven and (
            self._policy.confirms_names or await self._is_no_alias(request, verified, decision)
        ):
            return decision
        return _without_name(decision, facts)

    async def _is_no_alias(self, request: AuthRequest, verified: Verified, decision: Decision) -> bool:
        """A server takes `corp\\alice` for alice; a cloud that does not asks her for a factor, or denies her."""
        others = plain_names(verified.username) - {verified.username}
        if decision.reason not in _NO_FACTOR:
            return True
        if len(others) > _MOST_READINGS:
            return False
        try:
            for plain in sorted(others):
                if not isinstance(await self._cloud.preauth(request, plain), PreauthAllow | PreauthEnroll):
                    return False
        except CloudFailure:
            return False  # it has answered: this is no outage
        return True

    async def _ask(self, request: AuthRequest, call: Choice, pending: Pending, facts: Facts) -> Decision:
        """Raises CloudFailure."""
        if isinstance(call, NoFactor):
            return Reject(Reason.NO_USABLE_FACTOR, call.message)
        if isinstance(call, AskPasscode):
            facts.factor = "passcode"
            return await self._prompt(request, pending, ENTER_PASSCODE)
        facts.factor = call.factor
        if call.factor == "passcode":
            # R40: a code is tried once; of one that is tried elsewhere nothing more is to be learned.
            verdict: Verdict | Held | Repeated | Over = (
                Over.OVER if pending.answered else await self._cloud.auth(request, pending.username, call)
            )
        else:
            verdict = await self._prompts.ask(
                request, pending.username, call, self._cloud, self._clock, answered=pending.answered
            )
        return self._answered_by(pending, verdict, facts)

    def _answered_by(
        self, pending: Pending, verdict: Verdict | Held | Repeated | Over, facts: Facts
    ) -> Decision:
        match verdict:
            case FactorAllow(message, txid):
                facts.txid = txid
                if pending.kind is Kind.ALONE:
                    return Accept(Reason.DUO_ONLY, message, pending.carried)
                self._door.passed(pending.username)
                return Accept(Reason.BOTH_FACTORS, message, pending.carried)
            case FactorDeny(status, message, txid):
                facts.cause, facts.txid = status, txid
                return Reject(_DENIALS.get(status, Reason.FACTOR_DENIED), message)
            case Repeated(status):
                facts.cause = "repeated"
                return Reject(_DENIALS.get(status, Reason.FACTOR_DENIED))
            case Held(why):
                facts.cause = why
                return Reject(Reason.PUSH_LIMIT, ONE_AT_A_TIME if why == "push_pending" else PASSCODES_ONLY)
            case Over():
                facts.cause = "answered"
                return Reject(Reason.BAD_STATE)

    # ---- asking back

    async def _prompt(self, request: AuthRequest, pending: Pending, text: str) -> Decision:
        if not request.can_challenge:
            return Reject(Reason.NO_USABLE_FACTOR, "Append a passcode to the password.")
        state = await self._challenges.put(request, pending, self._carrying)
        return Challenge(Reason.FACTOR_PROMPT, text, state)

    def _menu(self, verified: Verified, devices: Devices) -> str:
        return prompt(verified.username, menu(devices), self._policy.prompt_format)

    async def _enroll(self, request: AuthRequest, verified: Verified, text: str) -> Decision:
        """An appliance shows a challenge's text and hides a Reject's."""
        first = self._policy.mode is Mode.CHALLENGE and not request.state
        if first and self._policy.enroll_challenge and request.can_challenge:
            pending = Pending(Kind.ENROLL, verified.username, dn=verified.dn)
            state = await self._challenges.put(request, pending, self._carrying)
            return Challenge(Reason.ENROLL_PROMPT, text, state)
        return Reject(Reason.ENROLL_REQUIRED, text)


def _without_name(decision: Decision, facts: Facts) -> Decision:
    """What the cloud says of a user whom nothing proves to be this one, when it asks for no factor.

    Whoever has a password could name a user of whom it wants none, or one that nobody is, and enroll a phone for that.
    """
    if isinstance(decision, Accept):
        facts.cause = "name_unproven"
        return Reject(Reason.CLOUD_DENY)
    if decision.reason in (Reason.ENROLL_PROMPT, Reason.ENROLL_REQUIRED):
        facts.cause = "name_unproven"
        return Reject(Reason.ENROLL_REQUIRED)
    return decision


def _closed(failure: CloudFailure, facts: Facts) -> Reject:
    """A factor has been asked for: no failure opens anything."""
    facts.cause, facts.detail = failure.failure.value, failure.detail
    closed = after_factor(failure)
    facts.why = "factor_asked" if closed.reason is Reason.FAIL_CLOSED else ""
    return closed


def _no_password(facts: Facts) -> Reject:
    """A factor stood alone where it is no longer enough."""
    facts.cause = "no_password"
    return Reject(Reason.BAD_STATE)


def _name_of(typed: Typed | None) -> str | None:
    """The factor's name for the record; a passcode itself is never named (S1)."""
    match typed:
        case None:
            return None
        case TypedPasscode():
            return "passcode"
        case TypedWord(word, number):
            return f"{word}{number or ''}"
