"""Logins through the daemon: what the user types, what the cloud says, what the NAS hears."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from tests.system.bench.cloud import phone
from tests.system.bench.directory import ad_refusal
from tests.system.bench.journal import CloudRequest, PrimarySearch
from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    ACCESS_CHALLENGE,
    ACCESS_REJECT,
    CALLING_STATION_ID,
    STATE,
    codes,
)
from tests.system.everyday import Everyday

pytestmark = pytest.mark.system


def test_push_approved(everyday: Everyday) -> None:
    """The main job: password at the directory, push at the cloud, Accept. One of each, in that order."""
    alice = everyday.user(answer=None)
    nas = everyday.nas()
    request = nas.login(alice.user, alice.password, (CALLING_STATION_ID, b"192.0.2.33"))
    nas.send(request)
    everyday.journal.wait(CloudRequest, lambda r: r.user == alice.user and r.endpoint == "auth_status")
    assert nas.hears_nothing(0.3)
    everyday.cloud.decide(alice.user, "allow")
    reply = nas.receive(request)
    assert reply is not None
    assert reply.code == ACCESS_ACCEPT
    assert reply.message == "Success. Logging you in..."
    assert [bind.result for bind in everyday.binds(alice.user)] == [0]
    (push,) = everyday.asked(alice.user)
    assert (push["factor"], push["async"], push["ipaddr"]) == ("push", "1", "192.0.2.33")
    (preauth,) = everyday.asked(alice.user, "preauth")
    assert preauth["ipaddr"] == "192.0.2.33"
    (event,) = everyday.wait_audit(username=alice.user, decision="accept")
    assert event["reason"] == "both_factors"


@pytest.mark.parametrize("verdict", ["deny", "timeout", "fraud", "locked_out"])
def test_push_not_approved(everyday: Everyday, verdict: str) -> None:
    """Only `result` decides; its `status` becomes the reason."""
    user = everyday.user(answer=verdict)
    reply = everyday.nas().ask(user.user, user.password)
    assert reply is not None
    assert reply.code == ACCESS_REJECT
    reasons = {"deny": "factor_denied", "timeout": "factor_timeout"}
    (event,) = everyday.wait_audit(username=user.user, decision="reject")
    assert event["reason"] == reasons.get(verdict, verdict)
    assert event["fail_open"] is False


def test_passcode_appended(everyday: Everyday) -> None:
    """Right, reused, wrong. The passcode is in no log, and never seen by the directory (S1, R27)."""
    passcode, wrong = everyday.canaries.passcode("passcode"), everyday.canaries.passcode("wrong passcode")
    user = everyday.user(passcodes={passcode})
    nas = everyday.nas()
    replies = [nas.ask(user.user, f"{user.password},{code}") for code in (passcode, passcode, wrong)]
    assert codes(replies) == [ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_REJECT]
    assert {bind.password for bind in everyday.binds(user.user)} == {user.password.encode()}
    calls = everyday.asked(user.user)
    assert [call["passcode"] for call in calls] == [passcode, passcode, wrong]
    assert all("async" not in call for call in calls)


@pytest.mark.parametrize(
    ("typed", "factor", "device"),
    [
        ("push", "push", "DFIRST"),
        ("push2", "push", "DTHIRD"),
        ("PUSH2", "push", "DTHIRD"),
        ("phone", "phone", "DFIRST"),
        ("phone2", "phone", "DSECOND"),
        ("auto", "auto", "auto"),
    ],
)
def test_factor_named_behind_the_password(everyday: Everyday, typed: str, factor: str, device: str) -> None:
    """The typed factor wins over the section's; a number counts the devices that can do it."""
    devices = [phone("DFIRST"), phone("DSECOND", "phone", "sms"), phone("DTHIRD", "push", "phone", "auto")]
    user = everyday.user(devices=devices)
    reply = everyday.nas().ask(user.user, f"{user.password},{typed}")
    assert reply is not None
    assert reply.code == ACCESS_ACCEPT
    (call,) = everyday.asked(user.user)
    assert (call["factor"], call["device"]) == (factor, device)


def test_no_device_for_what_was_typed(everyday: Everyday) -> None:
    """And nobody is asked for another factor instead."""
    user = everyday.user(devices=[phone("DFIRST", "push", "auto")])
    nas = everyday.nas()
    requests = [nas.login(user.user, f"{user.password},{typed}") for typed in ("push2", "phone")]
    assert codes(nas.exchange_all(requests)) == [ACCESS_REJECT] * 2
    assert everyday.asked(user.user) == []
    assert len(everyday.wait_audit(2, username=user.user, reason="no_usable_factor")) == 2


def test_sms_sends_codes_and_lets_nobody_in(everyday: Everyday) -> None:
    """The next login carries the code."""
    code = everyday.canaries.passcode("SMS code")
    user = everyday.user(passcodes={code})
    nas = everyday.nas()
    replies = [nas.ask(user.user, f"{user.password},{typed}") for typed in ("sms", code)]
    assert codes(replies) == [ACCESS_REJECT, ACCESS_ACCEPT]


def test_the_sections_factors_in_their_order(everyday: Everyday) -> None:
    """The first that the user has."""
    both = everyday.user(devices=[phone("DBOTH", "push", "phone", "auto")])
    pushes = everyday.user(devices=[phone("DPUSH", "push", "auto")])
    for user, factor in ((both, "phone"), (pushes, "push")):
        reply = everyday.nas(everyday.calls).ask(user.user, user.password)
        assert reply is not None
        assert reply.code == ACCESS_ACCEPT
        assert [call["factor"] for call in everyday.asked(user.user)] == [factor]


def test_a_passcode_is_asked_for(everyday: Everyday) -> None:
    """R39 to R41: a challenge, and its answer; a State is good for one answer, from its own user."""
    passcode = everyday.canaries.passcode("passcode")
    user, other = everyday.user(passcodes={passcode}), everyday.user()
    nas = everyday.nas(everyday.codes)
    question = nas.ask(user.user, user.password)
    assert question is not None
    assert question.code == ACCESS_CHALLENGE
    (state,) = question.values(STATE)
    stolen = nas.ask(other.user, passcode, (STATE, state))
    assert stolen is not None
    assert stolen.code == ACCESS_REJECT
    question = nas.ask(user.user, user.password)
    assert question is not None
    (state,) = question.values(STATE)
    answers = [nas.ask(user.user, passcode, (STATE, state)) for _ in range(2)]
    assert codes(answers) == [ACCESS_ACCEPT, ACCESS_REJECT]
    assert len(everyday.wait_audit(2, reason="bad_state")) >= 2


@pytest.mark.parametrize(
    ("preauth", "code", "reason"),
    [
        ("allow", ACCESS_ACCEPT, "cloud_allow"),
        ("deny", ACCESS_REJECT, "cloud_deny"),
        ("enroll", ACCESS_REJECT, "enroll_required"),
    ],
)
def test_preauth_decides_by_itself(everyday: Everyday, preauth: str, code: int, reason: str) -> None:
    """Bypass, a disabled account, a user without a device: no factor is asked for."""
    user = everyday.user(preauth=preauth, status_msg=f"The account is {preauth}ed")
    reply = everyday.nas().ask(user.user, user.password)
    assert reply is not None
    assert reply.code == code
    assert f"The account is {preauth}ed" in reply.message
    assert everyday.asked(user.user) == []
    assert len(everyday.wait_audit(username=user.user, reason=reason)) == 1


def test_a_stranger_at_the_cloud_is_told_where_to_enroll(everyday: Everyday) -> None:
    user = everyday.user()
    del everyday.cloud.users[user.user]
    reply = everyday.nas().ask(user.user, user.password)
    assert reply is not None
    assert reply.code == ACCESS_REJECT
    assert "https://localhost/portal" in reply.message


def test_exempt_user(everyday: Everyday) -> None:
    """F10: no factor, by the name that the directory confirms; with a wrong password no entry either."""
    nas = everyday.nas(everyday.safe)
    names = ["robot", "ROBOT", "robot@corp.test", "CORP\\robot"]
    requests = [nas.login(name, everyday.robot.password) for name in names]
    requests.append(nas.login("robot", everyday.canaries.new("wrong password")))
    assert codes(nas.exchange_all(requests)) == [ACCESS_ACCEPT] * 4 + [ACCESS_REJECT]
    assert everyday.asked("robot", "preauth") == []
    # The first two are the same login, and have joined.
    assert len(everyday.wait_audit(3, user="robot", reason="exempt")) >= 3


def test_exemption_is_of_one_section(everyday: Everyday) -> None:
    everyday.cloud.users["robot"].preauth = "deny"
    reply = everyday.nas().ask("robot", everyday.robot.password)
    assert reply is not None
    assert reply.code == ACCESS_REJECT


AD_CAUSES = {
    "525": "unknown_user",
    "52e": "bad_password",
    "532": "expired",
    "533": "disabled",
    "701": "account_expired",
    "773": "must_change",
    "775": "locked",
}


def test_what_the_directory_refuses(everyday: Everyday) -> None:
    """L16: also a right password that is expired or must be changed; the cause is in the audit, not in the reply."""
    nas = everyday.nas()
    users = {data: everyday.user(refusal=ad_refusal(data)) for data in AD_CAUSES}
    replies = nas.exchange_all([nas.login(user.user, user.password) for user in users.values()])
    assert set(codes(replies)) == {ACCESS_REJECT}
    assert len({reply.message for reply in replies if reply}) == 1
    for data, user in users.items():
        (event,) = everyday.wait_audit(username=user.user, decision="reject")
        assert (event["reason"], event["cause"]) == ("primary_rejected", AD_CAUSES[data])
        # A refusal never costs a cloud call, nor a second bind.
        assert len(everyday.binds(user.user)) == 1
        assert everyday.asked(user.user, "preauth") == []


def test_unknown_and_ambiguous_users(everyday: Everyday) -> None:
    """L27: nobody, or two entries, is no user; nothing is bound."""
    password = everyday.canaries.new("password of twins")
    everyday.directory.add("twin", password)
    everyday.directory.add("twin", password, dn="CN=twin,OU=Elsewhere,DC=corp,DC=test")
    nas = everyday.nas()
    replies = nas.exchange_all([nas.login("twin", password), nas.login("nobody-at-all", password)])
    assert codes(replies) == [ACCESS_REJECT] * 2
    assert everyday.binds("twin") == []


HOSTILE_NAMES = [
    "*",
    "user*",
    "a*)(uid=*",
    ")(|(a=*",
    "\\2a",
    "cn=a,b@x",
    "a)(objectClass=*",
    "#x",
    "<SID=S-1-5-32>",
]


def test_names_that_mean_something_in_a_filter(everyday: Everyday) -> None:
    """L26: each is one literal value; none finds anybody."""
    before = len(everyday.journal)
    nas = everyday.nas()
    requests = [nas.login(name, everyday.canaries.new("password of nobody")) for name in HOSTILE_NAMES]
    requests.append(nas.login(b"alice\0", b"whatever it is"))
    requests.append(nas.login(b"alice\xff", b"whatever it is"))
    replies = nas.exchange_all(requests)
    assert set(codes(replies)) <= {ACCESS_REJECT, None}
    searches = everyday.journal.all(PrimarySearch, since=before)
    assert [search for search in searches if search.entries] == []
    assert any("=\\2a)" in search.filter for search in searches)
    assert everyday.journal.all(CloudRequest, lambda r: r.endpoint == "preauth", since=before) == []


def test_pushinfo_says_where_it_comes_from(everyday: Everyday) -> None:
    """What the user sees in the app may be there, and is well-formed when it is."""
    user = everyday.user()
    everyday.nas().ask(user.user, user.password, (CALLING_STATION_ID, b"192.0.2.1"))
    (call,) = everyday.asked(user.user)
    parse_qs(call.get("pushinfo", ""), strict_parsing="pushinfo" in call)
    assert user.password not in repr(call)
