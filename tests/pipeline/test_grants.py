"""What an Accept carries: the same on every way to one, nothing on any other, and no guess about a group."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.challenge import Challenges
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.grants import Grants, Rule
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    FactorDeny,
    FailureClass,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PrimaryUnavailable,
    Verified,
)
from authproxy.pipeline.record import Facts
from authproxy.pipeline.second_step import SecondStep
from authproxy.pipeline.username import read_username

from .fakes import Cloud, Directory, Door, Record, challenges, request, run

ADMINS, STAFF = "cn=admins", "cn=staff"
RULES = (
    Rule(("bob's",), user="bob"),
    Rule(("admins'",), group=ADMINS),
    Rule(("staff's", "staff's too"), group=STAFF),
    Rule(("everybody's",)),
)
FIRST = Grants(RULES)
ALL = Grants(RULES, every=True)


def facts(username: str = "alice", *groups: str) -> Facts:
    return Facts(username, groups=frozenset(groups), outside=frozenset({ADMINS, STAFF}) - set(groups))


@pytest.mark.parametrize(
    ("grants", "who", "expected"),
    [
        (FIRST, facts("alice", ADMINS, STAFF), ("admins'",)),
        (FIRST, facts("alice", STAFF), ("staff's", "staff's too")),
        (FIRST, facts("alice"), ("everybody's",)),
        (FIRST, facts("bob", ADMINS), ("bob's",)),
        (ALL, facts("bob", ADMINS, STAFF), ("bob's", "admins'", "staff's", "staff's too")),
        (ALL, facts("alice"), ("everybody's",)),
        (Grants(RULES[:3]), facts("alice"), ()),
        (Grants(RULES[::-1]), facts("alice", STAFF), ("staff's", "staff's too")),
        (Grants(), facts("alice", ADMINS), ()),
    ],
)
def test_which_rules(grants: Grants, who: Facts, expected: tuple[str, ...]) -> None:
    assert not grants.unknown(who)
    assert grants.of(who) == expected


# ---- every way to an Accept, and every other


@dataclass
class LookedUp:
    """Memberships that are asked for apart from a password."""

    answer: tuple[frozenset[str], frozenset[str]] | None = (frozenset({ADMINS}), frozenset({STAFF}))
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def groups_of(
        self, username: str, dn: str, deadline: float
    ) -> tuple[frozenset[str], frozenset[str]]:
        self.asked.append((username, dn))
        if self.answer is None:
            raise PrimaryUnavailable("the directory is away")
        return self.answer


class Desk:
    def __init__(
        self,
        policy: Policy,
        cloud: Cloud | None = None,
        verified: Verified | None = None,
        groups: LookedUp | None = None,
        made: Challenges | None = None,
    ) -> None:
        known = Verified("alice", "uid=alice", frozenset({STAFF}), outside=frozenset({ADMINS}))
        self.record = Record()
        self.cloud = cloud or Cloud()
        self.groups = groups or LookedUp()
        second = SecondStep(policy, self.cloud, Door(), made or challenges(), clock=lambda: 0.0)
        self.pipeline = Pipeline(
            policy, Directory(verified or known), second, self.record, lambda: 0.0, self.groups
        )

    def ask(self, password: bytes = b"right", **more: Any) -> Decision:
        return run(self.pipeline.authenticate(request(password, **more)))


POLICY = Policy(FailMode.SAFE, grants=FIRST)
STAFFS = ("staff's", "staff's too")


@pytest.mark.parametrize(
    ("policy", "cloud", "password", "reason"),
    [
        (POLICY, Cloud(), b"right", Reason.BOTH_FACTORS),
        (POLICY, Cloud(), b"right,123456", Reason.BOTH_FACTORS),
        (replace(POLICY, mode=Mode.CONCAT), Cloud(), b"right,push", Reason.BOTH_FACTORS),
        (replace(POLICY, exempt=frozenset({"alice"})), Cloud(), b"right", Reason.EXEMPT),
        (POLICY, Cloud(preauth_answer=PreauthAllow()), b"right", Reason.CLOUD_ALLOW),
        (POLICY, Cloud(preauth_answer=FailureClass.UNREACHABLE), b"right", Reason.FAIL_OPEN),
    ],
)
def test_on_every_way_to_an_accept(policy: Policy, cloud: Cloud, password: bytes, reason: Reason) -> None:
    desk = Desk(policy, cloud)
    decision = desk.ask(password)
    assert isinstance(decision, Accept)
    assert (decision.reason, decision.granted) == (reason, STAFFS)
    assert desk.record.decisions[-1][0] == decision
    assert desk.groups.asked == []  # what came with the password is enough


def test_behind_a_challenge() -> None:
    desk = Desk(replace(POLICY, mode=Mode.CHALLENGE))
    asked = desk.ask(can_challenge=True)
    assert isinstance(asked, Challenge)
    decision = desk.ask(b"1", state=asked.state)
    assert isinstance(decision, Accept)
    assert decision.granted == STAFFS
    assert desk.groups.asked == []


def test_with_nobody_who_knows_groups() -> None:
    """Behind no primary, by name and default."""
    grants = Grants((Rule(("alice's",), user="alice"), Rule(("everybody's",))))
    desk = Desk(Policy(FailMode.SECURE, mode=Mode.FACTOR_ONLY, no_primary=True, grants=grants))
    decision = desk.ask(b"push")
    assert isinstance(decision, Accept)
    assert decision.granted == ("alice's",)


@pytest.mark.parametrize(
    ("cloud", "password"),
    [
        (Cloud(), b"wrong"),
        (Cloud(auth_answer=FactorDeny("deny")), b"right"),
        (Cloud(preauth_answer=PreauthDeny()), b"right"),
        (Cloud(preauth_answer=PreauthEnroll()), b"right"),
        (Cloud(preauth_answer=FailureClass.CREDENTIAL), b"right"),
    ],
)
def test_nothing_on_a_refusal(cloud: Cloud, password: bytes) -> None:
    """R42: there isn't even a place for it."""
    decision = Desk(POLICY, cloud).ask(password)
    assert isinstance(decision, Reject)
    assert not hasattr(decision, "granted")


# ---- nobody is outside a group by guess


def after_a_restart(groups: LookedUp, policy: Policy | None = None) -> tuple[Decision, Desk]:
    policy = policy or replace(POLICY, mode=Mode.CHALLENGE)
    asked = Desk(policy).ask(can_challenge=True)
    assert isinstance(asked, Challenge)
    desk = Desk(policy, groups=groups, made=challenges())
    return desk.ask(b"1", state=asked.state), desk


def test_an_answer_after_a_restart_is_looked_up_anew() -> None:
    decision, desk = after_a_restart(LookedUp())
    assert isinstance(decision, Accept)
    assert decision.granted == ("admins'",)
    assert desk.groups.asked == [("alice", "")]


def test_a_failing_look_up_rejects() -> None:
    """It would be an Accept with everybody's attributes, for somebody whom a group restricts."""
    decision, desk = after_a_restart(LookedUp(None))
    assert decision == Reject(Reason.PRIMARY_UNAVAILABLE)
    assert desk.record.decisions[-1][1].cause == "groups_unavailable"


def test_a_look_up_that_says_nothing_of_a_group_rejects() -> None:
    decision, desk = after_a_restart(LookedUp((frozenset(), frozenset({STAFF}))))
    assert decision == Reject(Reason.INTERNAL)
    assert desk.record.decisions[-1][1].cause == "groups_unknown"


def test_a_rule_about_a_new_group_is_looked_up() -> None:
    """After a reload between challenge and answer: who was asked about two groups may be in a third (A13)."""
    kept = challenges()
    asked = Desk(replace(POLICY, mode=Mode.CHALLENGE), made=kept).ask(can_challenge=True)
    assert isinstance(asked, Challenge)
    guests = Grants((Rule(("guests'",), group="cn=guests"), *RULES))
    found = LookedUp((frozenset({"cn=guests"}), frozenset({ADMINS, STAFF})))
    desk = Desk(replace(POLICY, mode=Mode.CHALLENGE, grants=guests), groups=found, made=kept)
    decision = desk.ask(b"1", state=asked.state)
    assert isinstance(decision, Accept)
    assert decision.granted == ("guests'",)


def test_a_primarys_attributes_that_a_restart_forgot() -> None:
    """What the primary restricts a session with can't be had again: the user has to log in anew."""
    policy = replace(POLICY, mode=Mode.CHALLENGE, grants=Grants(), carries=True)
    decision, desk = after_a_restart(LookedUp(), policy)
    assert decision == Reject(Reason.BAD_STATE)
    assert desk.record.decisions[-1][1].cause == "forgotten"
    assert isinstance(after_a_restart(LookedUp(), replace(policy, carries=False))[0], Accept)


def test_of_no_groups_nobody_is_asked() -> None:
    desk = Desk(replace(POLICY, grants=Grants((Rule(("everybody's",)),))), verified=Verified("alice"))
    assert isinstance(desk.ask(), Accept)
    assert desk.groups.asked == []


# ---- names that nobody has confirmed

BOBS = Grants((Rule(("restricted",), user="bob"), Rule(("everybody's",))))


@pytest.mark.parametrize("typed", ["CORP\\bob", "bob@corp.example", "b\u00f6b", "\uff42ob"])
@pytest.mark.parametrize(
    "policy", [Policy(FailMode.SECURE, radius_primary=True), Policy(FailMode.SECURE, no_primary=True)]
)
def test_nobody_writes_themselves_out_of_a_rule(policy: Policy, typed: str) -> None:
    """R33: a RADIUS server may take it for bob, or for another bob: neither gets the other's attributes."""
    record = Record()
    name = read_username(typed.encode()).canonical
    policy = replace(policy, grants=BOBS)
    second = SecondStep(policy, Cloud(), Door(), challenges(), lambda: 0.0)
    pipeline = Pipeline(policy, Directory(Verified(name)), second, record, lambda: 0.0)
    assert run(pipeline.authenticate(request(b"right", typed))) == Reject(Reason.MALFORMED)
    assert record.decisions[-1][1].cause == "name_unproven"


@pytest.mark.parametrize(
    ("policy", "name", "expected"),
    [
        (Policy(FailMode.SECURE, radius_primary=True), "bob", "restricted"),
        (Policy(FailMode.SECURE, radius_primary=True), "CORP\\alice", "everybody's"),
        # A directory has said what the entry is called.
        (Policy(FailMode.SECURE), "bob@corp.example", "everybody's"),
    ],
)
def test_names_that_are_no_form_of_a_rule_s(policy: Policy, name: str, expected: str) -> None:
    policy = replace(policy, grants=BOBS)
    second = SecondStep(policy, Cloud(), Door(), challenges(), lambda: 0.0)
    verified = Verified(read_username(name.encode()).canonical)
    pipeline = Pipeline(policy, Directory(verified), second, Record(), lambda: 0.0)
    decision = run(pipeline.authenticate(request(b"right", name)))
    assert isinstance(decision, Accept)
    assert decision.granted == (expected,)
