"""A reload while a login is under way: what it shuts lets nobody pass (F3), what it leaves goes on (A13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.challenge import Challenges
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode, SlowCloud
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    Admission,
    CloudFailure,
    FactorAllow,
    FactorCall,
    FactorDeny,
    FailureClass,
    Preauth,
    PreauthAllow,
    PrimaryChallenge,
    PrimaryUnavailable,
    Refused,
    Verified,
)
from authproxy.pipeline.present import Present
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.second_step import SecondStep
from authproxy.secret import Secret

from .fakes import Cloud, Directory, Door, Record, Seal, WallClock, challenges, request, run

SAFE, SECURE = Policy(FailMode.SAFE, mark="restricted"), Policy(FailMode.SECURE)
EXEMPT = replace(SECURE, exempt=frozenset({"alice"}))
ALONE = Policy(FailMode.SECURE, no_primary=True)
DOWN = FailureClass.UNREACHABLE

Meanwhile = Callable[[], None]


@dataclass
class LateDirectory(Directory):
    meanwhile: Meanwhile = lambda: None

    async def verify(self, request: AuthRequest, password: Secret) -> Verified | Refused | PrimaryChallenge:
        self.meanwhile()
        return await Directory.verify(self, request, password)


@dataclass
class LateCloud(Cloud):
    meanwhile: Meanwhile = lambda: None
    at_the_phone: Meanwhile = lambda: None

    async def preauth(self, request: AuthRequest, username: str) -> Preauth:
        self.meanwhile()
        return await Cloud.preauth(self, request, username)

    async def auth(self, request: AuthRequest, username: str, call: FactorCall) -> FactorAllow | FactorDeny:
        self.at_the_phone()
        return await Cloud.auth(self, request, username, call)


@dataclass
class LateDoor(Door):
    meanwhile: Meanwhile = lambda: None
    at_the_order: Meanwhile = lambda: None

    async def may_open(self, request: AuthRequest, verified: Verified, failure: CloudFailure) -> str:
        self.meanwhile()
        return await Door.may_open(self, request, verified, failure)

    async def primary_only(self, request: AuthRequest, verified: Verified) -> bool:
        self.at_the_order()
        return await Door.primary_only(self, request, verified)


class Desk:
    """A section's pipeline, and what its configuration becomes while a login is in it."""

    def __init__(
        self, policy: Policy, *, slow: bool = False, open_challenges: Challenges | None = None
    ) -> None:
        self.directory, self.cloud, self.door = LateDirectory(), LateCloud(), LateDoor()
        self.record = Record()
        self.present = Present(policy, self.door)
        second = SecondStep(
            policy,
            self.cloud,
            self.door,
            challenges() if open_challenges is None else open_challenges,
            lambda: 0.0,
            is_slow=lambda: slow,
            present=self.present,
        )
        self.pipeline = Pipeline(policy, self.directory, second, self.record, clock=lambda: 0.0)

    def login(self, password: bytes = b"right", **changes: object) -> Decision:
        return run(self.pipeline.authenticate(request(password, **changes)))

    def why(self) -> str:
        return self.record.decisions[-1][1].why

    def reload(self, policy: Policy, door: Door | None = None) -> Meanwhile:
        return lambda: self.present.use(policy, Door() if door is None else door)


def closed(decision: Decision) -> bool:
    return isinstance(decision, Reject) and decision.reason is Reason.FAIL_CLOSED


# ---- fail open


@pytest.mark.parametrize("fail_mode", [FailMode.SECURE, FailMode.SILENT])
@pytest.mark.parametrize("where", ["at the directory", "at the cloud", "at a gate"])
def test_a_door_that_is_shut_meanwhile(where: str, fail_mode: FailMode) -> None:
    desk = Desk(SAFE)
    desk.cloud.preauth_answer = DOWN
    waits = {"at the directory": desk.directory, "at the cloud": desk.cloud, "at a gate": desk.door}[where]
    waits.meanwhile = desk.reload(Policy(fail_mode))  # type: ignore[attr-defined]
    assert closed(desk.login())
    assert desk.why() == "reloaded"


def test_a_section_that_is_gone() -> None:
    for waits in ("cloud", "door"):
        desk = Desk(SAFE)
        desk.cloud.preauth_answer = DOWN
        getattr(desk, waits).meanwhile = desk.present.end
        assert closed(desk.login())


def test_the_gates_of_now_are_asked() -> None:
    """A limit, a user who never passes, other credentials: whatever the reload has put there."""
    desk = Desk(SAFE)
    desk.cloud.preauth_answer = DOWN
    gate = Door("never_user")
    desk.cloud.meanwhile = desk.reload(SAFE, gate)
    assert closed(desk.login())
    assert (desk.why(), gate.asked, desk.door.asked) == ("never_user", ["alice"], [])


def test_a_gate_that_comes_while_another_is_asked() -> None:
    desk = Desk(SAFE)
    desk.cloud.preauth_answer = DOWN
    desk.door.meanwhile = desk.reload(SAFE, Door("never_user"))
    assert closed(desk.login())


def test_an_open_door_that_stays_open() -> None:
    """A13, with the mark that sessions get now (F9)."""
    for waits in ("directory", "cloud", "door"):
        desk = Desk(SAFE)
        desk.cloud.preauth_answer = DOWN
        getattr(desk, waits).meanwhile = desk.reload(replace(SAFE, mark="more restricted"))
        assert desk.login() == Accept(Reason.FAIL_OPEN, mark="more restricted")


@pytest.mark.parametrize("opened", [Policy(FailMode.SAFE), replace(SAFE, slow_cloud=SlowCloud.FAILMODE)])
def test_a_door_that_is_opened_meanwhile(opened: Policy) -> None:
    """Who began behind a shut one ends there."""
    desk = Desk(SECURE)
    desk.cloud.preauth_answer = DOWN
    desk.cloud.meanwhile = desk.reload(opened)
    assert closed(desk.login())
    assert desk.why() == "secure"


@pytest.mark.parametrize("slow_cloud", [SlowCloud.WAIT, SlowCloud.PASSCODE])
def test_a_slow_cloud_that_opens_nothing_any_more(slow_cloud: SlowCloud) -> None:
    desk = Desk(replace(SAFE, slow_cloud=SlowCloud.FAILMODE), slow=True)
    desk.door.meanwhile = desk.reload(replace(SAFE, slow_cloud=slow_cloud))
    assert closed(desk.login())


def test_a_section_that_has_no_passwords_any_more() -> None:
    desk = Desk(SAFE)
    desk.cloud.preauth_answer = DOWN
    desk.cloud.meanwhile = desk.reload(replace(SAFE, no_primary=True))
    assert closed(desk.login())


# ---- primary-only


def test_primary_only_in_a_section_that_is_secure_now() -> None:
    """The cloud is asked as ever."""
    for where in ("at the directory", "at the order"):
        desk = Desk(SAFE)
        desk.door.ordered = True
        secure = desk.reload(SECURE, Door(ordered=True))
        if where == "at the order":
            desk.door.at_the_order = secure
        else:
            desk.directory.meanwhile = secure
        assert desk.login() == Accept(Reason.BOTH_FACTORS)


def test_primary_only_goes_on() -> None:
    desk = Desk(SAFE)
    desk.door.ordered = True
    desk.door.at_the_order = desk.reload(SAFE, Door(ordered=True))
    assert desk.login() == Accept(Reason.PRIMARY_ONLY, mark="restricted")


# ---- exemptions


def test_an_exemption_that_is_taken_away() -> None:
    desk = Desk(EXEMPT)
    assert desk.login() == Accept(Reason.EXEMPT)
    desk.directory.meanwhile = desk.reload(SECURE)
    assert closed(desk.login())
    assert (desk.why(), desk.cloud.preauths) == ("reloaded", [])


def test_an_exemption_by_entry_that_is_taken_away() -> None:
    desk = Desk(replace(SECURE, exempts=lambda request, verified: verified.dn == "uid=alice"))
    assert desk.login() == Accept(Reason.EXEMPT)
    desk.directory.meanwhile = desk.reload(replace(SECURE, exempts=lambda request, verified: False))
    assert closed(desk.login())


def test_an_exemption_that_stays_or_comes() -> None:
    desk = Desk(EXEMPT)
    desk.directory.meanwhile = desk.reload(replace(EXEMPT, fail_mode=FailMode.SAFE))
    assert desk.login() == Accept(Reason.EXEMPT)
    desk = Desk(SECURE)
    desk.directory.meanwhile = desk.reload(EXEMPT)
    assert desk.login() == Accept(Reason.BOTH_FACTORS)


# ---- both factors


@pytest.mark.parametrize("policy", [SECURE, replace(SAFE, exempt=frozenset({"bob"})), EXEMPT, None])
def test_a_pending_push_is_approved(policy: Policy | None) -> None:
    """A12, A13: whatever the section is now, and though it is gone."""
    desk = Desk(SAFE)
    desk.cloud.at_the_phone = desk.present.end if policy is None else desk.reload(policy)
    assert desk.login() == Accept(Reason.BOTH_FACTORS)


def test_a_user_whom_the_cloud_lets_by() -> None:
    desk = Desk(SAFE)
    desk.cloud.preauth_answer = PreauthAllow()
    desk.cloud.meanwhile = desk.reload(SECURE)
    assert desk.login() == Accept(Reason.CLOUD_ALLOW)


# ---- who may log in at all


@dataclass(eq=False)
class Rules:
    """Of a primary; asked by `then` about whom it let in."""

    admits: bool = True
    reachable: bool = True
    asked: list[tuple[Admission | None, str, str]] = field(default_factory=list)
    meanwhile: Meanwhile = lambda: None

    async def still(self, earlier: Admission | None, username: str, dn: str, deadline: float) -> bool:
        self.asked.append((earlier, username, dn))
        self.meanwhile()
        if not self.reachable:
            raise PrimaryUnavailable("no host")
        return self.admits


@pytest.mark.parametrize("reason", [Reason.BOTH_FACTORS, Reason.CLOUD_ALLOW, Reason.EXEMPT, Reason.FAIL_OPEN])
@pytest.mark.parametrize("admits", [True, False])
def test_a_primary_that_has_changed(reason: Reason, admits: bool) -> None:
    """F3: nobody passes whom it would not let in by now, whatever they have shown since."""
    before, now = Rules(), Rules(admits)
    policy = replace(EXEMPT if reason is Reason.EXEMPT else SAFE, admission=before)
    desk = Desk(policy)
    reload = desk.reload(replace(policy, admission=now))
    match reason:
        case Reason.BOTH_FACTORS:
            desk.cloud.at_the_phone = reload
        case Reason.CLOUD_ALLOW:
            desk.cloud.preauth_answer = PreauthAllow()
            desk.cloud.meanwhile = reload
        case Reason.EXEMPT:
            desk.directory.meanwhile = reload
        case _:
            desk.cloud.preauth_answer = DOWN
            desk.door.meanwhile = reload
    decision = desk.login()
    assert (isinstance(decision, Accept) and decision.reason is reason) if admits else closed(decision)
    assert now.asked == [(before, "alice", "uid=alice")]
    assert admits or desk.why() == "reloaded"


def test_a_primary_that_has_not_changed_is_not_asked_twice() -> None:
    rules = Rules(admits=False)
    desk = Desk(replace(SECURE, admission=rules))
    desk.cloud.at_the_phone = desk.reload(replace(SAFE, admission=rules))
    assert desk.login() == Accept(Reason.BOTH_FACTORS)
    assert rules.asked == []


def test_a_challenge_from_before_another_primary() -> None:
    """Its answer comes to the pipeline of now, which has verified nobody's password."""
    before, now = Rules(), Rules(admits=False)
    seal, policy = Seal(), replace(SECURE, mode=Mode.CHALLENGE)
    open_challenges = challenges(seal)
    desk = Desk(replace(policy, admission=before), open_challenges=open_challenges)
    for admission, answer in ((before, Accept(Reason.BOTH_FACTORS)), (now, None)):
        asked = desk.login(can_challenge=True)
        assert isinstance(asked, Challenge)
        later = Desk(replace(policy, admission=admission), open_challenges=open_challenges)
        decision = later.login(b"1", state=asked.state)
        assert decision == answer if answer else closed(decision)
    assert now.asked == [(before, "alice", "uid=alice")]


def test_a_challenge_from_before_a_restart() -> None:
    """What the seal says of the password was true by the rules of then."""
    seal, wall_clock = Seal(), WallClock()
    policy = replace(SECURE, mode=Mode.CHALLENGE)
    for now in (Rules(), Rules(admits=False)):
        asked = Desk(policy, open_challenges=challenges(seal, wall_clock)).login(can_challenge=True)
        assert isinstance(asked, Challenge)
        later = Desk(replace(policy, admission=now), open_challenges=challenges(seal, wall_clock))
        decision = later.login(b"1", state=asked.state)
        assert isinstance(decision, Accept) is now.admits
        assert now.asked == [(None, "alice", "")]


def test_a_primary_that_does_not_answer_any_more() -> None:
    desk = Desk(replace(SAFE, admission=Rules()))
    desk.cloud.at_the_phone = desk.reload(replace(SAFE, admission=Rules(reachable=False)))
    assert desk.login() == Reject(Reason.PRIMARY_UNAVAILABLE)


def test_a_primary_that_changes_again_while_it_is_asked() -> None:
    desk = Desk(replace(SECURE, admission=Rules()))
    now = replace(SECURE, admission=Rules())
    then = Rules(meanwhile=desk.reload(replace(SECURE, admission=Rules(admits=False))))
    desk.cloud.at_the_phone = desk.reload(replace(now, admission=then))
    assert closed(desk.login())


@pytest.mark.parametrize("reason", [Reason.EXEMPT, Reason.FAIL_OPEN, Reason.BOTH_FACTORS])
def test_a_reload_while_the_primary_is_asked_once_more(reason: Reason) -> None:
    """Whatever opened for who waits, of what is open now nobody has asked."""
    policy = replace(EXEMPT if reason is Reason.EXEMPT else SAFE, admission=Rules())
    desk = Desk(policy)
    last = Rules()
    between = Rules(meanwhile=desk.reload(replace(SECURE, admission=last)))
    reload = desk.reload(replace(policy, admission=between))
    if reason is Reason.FAIL_OPEN:
        desk.cloud.preauth_answer = DOWN
        desk.door.meanwhile = reload
    elif reason is Reason.EXEMPT:
        desk.directory.meanwhile = reload
    else:
        desk.cloud.at_the_phone = reload
    decision = desk.login()
    assert last.asked
    assert decision == Accept(reason) if reason is Reason.BOTH_FACTORS else closed(decision)


# ---- a factor alone


@pytest.mark.parametrize("answer", [None, PreauthAllow()])
def test_a_factor_that_is_not_enough_any_more(answer: Preauth | None) -> None:
    desk = Desk(ALONE)
    if answer is not None:
        desk.cloud.preauth_answer = answer
    assert isinstance(desk.login(b"123456"), Accept)
    desk.cloud.meanwhile = desk.reload(SECURE)
    assert desk.login(b"123456") == Reject(Reason.BAD_STATE)
    assert desk.record.decisions[-1][1].cause == "no_password"


def test_an_answer_that_is_not_enough_any_more() -> None:
    desk = Desk(replace(ALONE, mode=Mode.CHALLENGE))
    for meanwhile, expected in (
        (desk.reload(replace(ALONE, mode=Mode.CHALLENGE)), Accept(Reason.DUO_ONLY)),
        (desk.reload(SECURE), Reject(Reason.BAD_STATE)),
    ):
        asked = desk.login(can_challenge=True)
        assert isinstance(asked, Challenge)
        desk.cloud.at_the_phone = meanwhile
        assert desk.login(b"1", state=asked.state) == expected


def test_a_factor_alone_goes_on() -> None:
    desk = Desk(ALONE)
    desk.cloud.at_the_phone = desk.present.end
    assert desk.login(b"123456") == Accept(Reason.DUO_ONLY)
