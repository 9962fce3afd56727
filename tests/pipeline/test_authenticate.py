"""The policy of a login, as conversations: what the directory and the cloud say, and what comes of it."""

from __future__ import annotations

import dataclasses

import pytest

from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.credential import AppendMode
from authproxy.pipeline.decision import Accept, Decision, Reason, Reject
from authproxy.pipeline.factor import Factor
from authproxy.pipeline.fail_mode import FailMode, SlowCloud
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    FactorAllow,
    FactorDeny,
    FailureClass,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
    PrimaryUnavailable,
    RefusalKind,
    Refused,
    Verified,
)
from authproxy.pipeline.second_step import SecondStep

from .fakes import PHONE, TABLET, TOKEN, Cloud, Directory, Door, Record, challenges, request, run

SECURE = Policy(FailMode.SECURE)
SAFE = Policy(FailMode.SAFE)


class Desk:
    """A pipeline and the fakes around it."""

    def __init__(
        self,
        policy: Policy = SECURE,
        directory: Directory | None = None,
        cloud: Cloud | None = None,
        door: Door | None = None,
        record: Record | None = None,
    ) -> None:
        self.directory = directory or Directory()
        self.cloud = cloud or Cloud()
        self.record = record or Record()
        self.door = door or Door()
        second = SecondStep(policy, self.cloud, self.door, challenges(), lambda: 0.0)
        self.pipeline = Pipeline(policy, self.directory, second, self.record, clock=lambda: 0.0)

    def login(self, password: bytes = b"right", username: str = "alice") -> Decision:
        return run(self.pipeline.authenticate(request(password, username)))


def test_both_factors() -> None:
    desk = Desk()
    assert desk.login() == Accept(Reason.BOTH_FACTORS)
    assert desk.cloud.preauths == ["alice"]
    assert [name for name, _ in desk.cloud.calls] == ["alice"]


def test_a_wrong_password_never_costs_a_cloud_call() -> None:
    desk = Desk()
    assert desk.login(b"wrong") == Reject(Reason.PRIMARY_REJECTED)
    assert desk.cloud.preauths == []
    assert desk.record.decisions[0][1].cause == "bad_password"


@pytest.mark.parametrize("typed", [b"", b",push", b",123456", b",,", b","])
def test_an_empty_password_reaches_nobody(typed: bytes) -> None:
    """R25: an LDAP bind with an empty password succeeds as anonymous."""
    desk = Desk(SAFE)
    assert desk.login(typed) == Reject(Reason.EMPTY_PASSWORD)
    assert desk.directory.asked == []
    assert desk.cloud.preauths == []


@pytest.mark.parametrize(
    ("typed", "password"),
    [
        (b"a,b", b"a,b"),
        (b"a,", b"a,"),
        (b"a,123456", b"a"),
        (b"a,push2", b"a"),
        (b"pass123456", b"pass123456"),
    ],
)
def test_one_guess_at_the_directory(typed: bytes, password: bytes) -> None:
    """R27: a failed reading is not tried again another way; each try moves the lock-out counter."""
    desk = Desk(directory=Directory(Refused("bad_password")))
    desk.login(typed)
    assert desk.directory.asked == [password]


def test_primary_down_is_no_open_door() -> None:
    desk = Desk(SAFE, Directory(PrimaryUnavailable("dc1: refused")))
    assert desk.login() == Reject(Reason.PRIMARY_UNAVAILABLE)
    assert desk.cloud.preauths == []


def test_not_in_group() -> None:
    desk = Desk(directory=Directory(Refused("not_in_group", RefusalKind.NOT_IN_GROUP)))
    assert desk.login().reason is Reason.NOT_IN_GROUP


def test_the_directory_names_the_user() -> None:
    """R33: `álice` may bind as alice; the cloud has to hear alice."""
    desk = Desk(directory=Directory(Verified("alice", "uid=alice")))
    desk.login(username="ÁLICE")
    assert desk.cloud.preauths == ["alice"]


def test_exempt_by_the_confirmed_name_only() -> None:
    """A typed name that is exempt doesn't help an entry that isn't (L11, R33)."""
    policy = dataclasses.replace(SECURE, exempt=frozenset({"svc"}))
    assert Desk(policy, Directory(Verified("svc"))).login(username="SVC") == Accept(Reason.EXEMPT)
    forged = Desk(policy, Directory(Verified("alice")), Cloud(PreauthDeny()))
    assert forged.login(username="svc") == Reject(Reason.CLOUD_DENY)


def test_a_name_that_nothing_proves_is_never_exempt() -> None:
    """R33: the password may be somebody else's, whose device said this name outside EAP's tunnel."""
    unproven = Verified("svc", proven=False)
    for policy in (
        dataclasses.replace(SECURE, exempt=frozenset({"svc"})),
        dataclasses.replace(SECURE, exempts=lambda request, verified: True),
    ):
        desk = Desk(policy, Directory(unproven))
        assert desk.login(username="svc") == Accept(Reason.BOTH_FACTORS)
        assert [name for name, _ in desk.cloud.calls] == ["svc"]


def test_a_name_that_nothing_proves_is_not_let_in_by_the_cloud() -> None:
    """Only a factor does, also of a user whom the cloud would ask for none."""
    desk = Desk(directory=Directory(Verified("svc", proven=False)), cloud=Cloud(PreauthAllow("bypass")))
    assert desk.login(username="svc") == Reject(Reason.CLOUD_DENY)
    assert desk.record.decisions[0][1].cause == "name_unproven"


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.CHALLENGE])
def test_a_name_that_nothing_proves_is_not_invited_to_enroll(mode: Mode) -> None:
    """Whoever has a password would name a user that nobody is, enroll a phone for it, and come back with both."""
    unproven = Directory(Verified("nobody", proven=False))
    desk = Desk(Policy(FailMode.SECURE, mode), unproven, Cloud(PreauthEnroll("enroll at", "https://x")))
    asked = request(username="nobody", can_challenge=True)
    assert run(desk.pipeline.authenticate(asked)) == Reject(Reason.ENROLL_REQUIRED)
    assert desk.record.decisions[0][1].cause == "name_unproven"


def test_a_name_that_nothing_proves_may_be_denied_like_any() -> None:
    unproven = Directory(Verified("svc", proven=False))
    desk = Desk(directory=unproven, cloud=Cloud(PreauthDeny("disabled")))
    assert desk.login(username="svc") == Reject(Reason.CLOUD_DENY, "disabled")


def test_exempt_still_needs_the_password() -> None:
    policy = dataclasses.replace(SECURE, exempt=frozenset({"alice"}))
    assert Desk(policy).login(b"wrong").reason is Reason.PRIMARY_REJECTED


@pytest.mark.parametrize(
    ("preauth", "expected"),
    [
        (PreauthAllow("bypass"), Accept(Reason.CLOUD_ALLOW, "bypass")),
        (PreauthDeny("disabled"), Reject(Reason.CLOUD_DENY, "disabled")),
        (PreauthEnroll("enroll at", "https://x"), Reject(Reason.ENROLL_REQUIRED, "enroll at https://x")),
        (PreauthFactors(()), Reject(Reason.NO_USABLE_FACTOR)),
    ],
)
def test_preauth(
    preauth: PreauthAllow | PreauthDeny | PreauthEnroll | PreauthFactors, expected: Decision
) -> None:
    desk = Desk(cloud=Cloud(preauth))
    decision = desk.login()
    assert (type(decision), decision.reason) == (type(expected), expected.reason)
    if expected.message:
        assert decision == expected
    assert desk.cloud.calls == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("deny", Reason.FACTOR_DENIED),
        ("sent", Reason.FACTOR_DENIED),
        ("timeout", Reason.FACTOR_TIMEOUT),
        ("fraud", Reason.FRAUD),
        ("locked_out", Reason.LOCKED_OUT),
        ("something new", Reason.FACTOR_DENIED),
    ],
)
def test_the_factor_denied(status: str, reason: Reason) -> None:
    assert Desk(SAFE, cloud=Cloud(auth_answer=FactorDeny(status))).login() == Reject(reason)


OUTAGES = [FailureClass.UNREACHABLE, FailureClass.SERVER_ERROR, FailureClass.SLOW]
NEVER = [failure for failure in FailureClass if failure not in OUTAGES]


@pytest.mark.parametrize("failure", OUTAGES)
def test_an_outage_opens_a_safe_section_and_no_secure_one(failure: FailureClass) -> None:
    for policy, reason, why in ((SAFE, Reason.FAIL_OPEN, ""), (SECURE, Reason.FAIL_CLOSED, "secure")):
        desk = Desk(dataclasses.replace(policy, slow_cloud=SlowCloud.FAILMODE), cloud=Cloud(failure))
        assert desk.login().reason is reason
        assert desk.record.decisions[-1][1].why == why


@pytest.mark.parametrize("policy", [SAFE, SECURE])
@pytest.mark.parametrize("failure", NEVER)
def test_classes_that_never_open(policy: Policy, failure: FailureClass) -> None:
    desk = Desk(policy, cloud=Cloud(failure))
    decision = desk.login()
    assert (type(decision), decision.reason) == (Reject, Reason.CLOUD_REFUSED)
    assert desk.record.decisions[-1][1].cause == failure.value


@pytest.mark.parametrize("policy", [SAFE, SECURE])
@pytest.mark.parametrize("failure", list(FailureClass))
def test_nothing_opens_once_a_factor_is_due(policy: Policy, failure: FailureClass) -> None:
    decision = Desk(policy, cloud=Cloud(auth_answer=failure)).login()
    assert isinstance(decision, Reject)
    assert decision.reason in (Reason.FAIL_CLOSED, Reason.CLOUD_REFUSED)


def test_an_outage_behind_a_wrong_password_opens_nothing() -> None:
    assert Desk(SAFE, cloud=Cloud(FailureClass.UNREACHABLE)).login(b"wrong").reason is Reason.PRIMARY_REJECTED


def test_a_gate_keeps_the_door_shut() -> None:
    desk = Desk(SAFE, cloud=Cloud(FailureClass.UNREACHABLE), door=Door("not_proven"))
    assert desk.login().reason is Reason.FAIL_CLOSED
    assert desk.record.decisions[-1][1].why == "not_proven"


def test_no_record_no_entry() -> None:
    """F8: an Accept by fail open that can't be written down doesn't happen."""
    desk = Desk(SAFE, cloud=Cloud(FailureClass.UNREACHABLE), record=Record(full=True))
    assert desk.login() == Reject(Reason.FAIL_CLOSED)
    assert desk.record.decisions[-1][0] == Reject(Reason.FAIL_CLOSED)


def test_a_typed_passcode_doesnt_change_the_outage_but_is_said() -> None:
    desk = Desk(SAFE, cloud=Cloud(FailureClass.UNREACHABLE))
    assert desk.login(b"right,123456") == Accept(Reason.FAIL_OPEN)
    facts = desk.record.decisions[-1][1]
    assert (facts.factor, "unchecked" in facts.detail) == ("passcode", True)
    assert "123456" not in repr(facts)


@pytest.mark.parametrize(
    ("typed", "factor", "device"),
    [
        (b"right", "auto", "auto"),
        (b"right,push", "push", "DP1"),
        (b"right,push2", "push", "DP2"),
        (b"right,PHONE", "phone", "DP1"),
        (b"right,sms", "sms", "DP1"),
    ],
)
def test_the_factor_asked_for(typed: bytes, factor: str, device: str) -> None:
    desk = Desk(cloud=Cloud(PreauthFactors((TOKEN, PHONE, TABLET))))
    desk.login(typed)
    _, call = desk.cloud.calls[0]
    assert (call.factor, call.device) == (factor, device)


def test_a_typed_passcode_wins_over_the_push() -> None:
    desk = Desk()
    desk.login(b"right,012345")
    _, call = desk.cloud.calls[0]
    assert call.factor == "passcode"
    assert call.passcode is not None
    assert call.passcode.reveal() == b"012345"


@pytest.mark.parametrize("typed", [b"right,push3", b"right,phone2"])
def test_a_device_the_user_doesnt_have(typed: bytes) -> None:
    desk = Desk(cloud=Cloud(PreauthFactors((PHONE, TABLET))))
    assert desk.login(typed).reason is Reason.NO_USABLE_FACTOR
    assert desk.cloud.calls == []


def test_a_token_alone_cannot_be_pushed_to() -> None:
    assert Desk(cloud=Cloud(PreauthFactors((TOKEN,)))).login().reason is Reason.NO_USABLE_FACTOR


def test_configured_order_decides_when_nothing_is_typed() -> None:
    policy = dataclasses.replace(SECURE, factors=(Factor.PHONE, Factor.PUSH))
    desk = Desk(policy, cloud=Cloud(PreauthFactors((TABLET, PHONE))))
    desk.login()
    assert desk.cloud.calls[0][1].factor == "phone"


def test_append_mode_off_takes_all_of_it() -> None:
    policy = dataclasses.replace(SECURE, append=AppendMode(enabled=False))
    desk = Desk(policy)
    desk.login(b"right,push")
    assert desk.directory.asked == [b"right,push"]


def test_fixed_length_passwords() -> None:
    policy = dataclasses.replace(SECURE, append=AppendMode(password_length=5))
    desk = Desk(policy)
    assert desk.login(b"right123456").reason is Reason.BOTH_FACTORS
    assert desk.login(b"right,123456").reason is Reason.BOTH_FACTORS
    assert desk.directory.asked == [b"right", b"right"]


def test_an_accept_names_its_transaction() -> None:
    desk = Desk(cloud=Cloud(auth_answer=FactorAllow("ok", "tx-1")))
    assert desk.login() == Accept(Reason.BOTH_FACTORS, "ok")
    assert desk.record.decisions[0][1].txid == "tx-1"
