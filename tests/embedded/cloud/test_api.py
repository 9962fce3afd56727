"""Auth API v2 over real HTTPS, with the client that others use: every call, every outcome."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import duo_client
import pytest

from authproxy.embedded.cloud.model import (
    DeviceKind,
    Factor,
    NewUsers,
    Otp,
    Policy,
    Result,
    Status,
    UserPolicy,
    UserStatus,
)
from authproxy.embedded.cloud.otp import new_otp_secret
from authproxy.embedded.cloud.outcomes import Decided, Limits, Verdict

from .running import Running


def later(function: Callable[[], Any]) -> Callable[[], Any]:
    """Run it meanwhile; calling what comes back waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()

    def result() -> Any:
        thread.join(20)
        return results[0]

    return result


@pytest.mark.parametrize("version", [2, 4, 5])
def test_ping_check_and_logo(cloud: Running, version: int) -> None:
    client = cloud.client(cloud.application(), sig_version=version)
    cloud.user("jürgen.o'brien+x@exämple.com")
    assert abs(client.ping()["time"] - time.time()) < 5
    assert abs(client.check()["time"] - time.time()) < 5
    assert client.logo().startswith(b"\x89PNG")
    if version != 4:  # duo_client signs v4 with a body that it doesn't send
        told = client.preauth(username="Jürgen.O'Brien+x@exämple.com", ipaddr="10.2.3.4")
        assert told["result"] == "auth"


def test_preauth_lists_what_can_be_used(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    user, device_id, _ = cloud.user(number="+49 151 2345678")
    cloud.run(
        cloud.store.devices.add,
        user.user_id,
        DeviceKind.TOKEN,
        name="Fob",
        otp=Otp.HOTP,
        otp_secret=new_otp_secret(),
    )
    told = client.preauth(username="ALICE")
    phone, token = told["devices"]
    assert phone == {
        "device": device_id,
        "type": "phone",
        "name": "iPhone",
        "display_name": "iPhone (XXX-XXX-5678)",
        "number": "XXX-XXX-5678",
        "capabilities": ["auto", "push", "sms", "phone", "mobile_otp"],
    }
    assert (token["type"], token["name"]) == ("token", "Fob")
    assert told["status_msg"] == "Account is active"
    assert client.preauth(user_id=user.user_id)["result"] == "auth"


@pytest.mark.parametrize(
    ("status", "result"),
    [(UserStatus.BYPASS, "allow"), (UserStatus.DISABLED, "deny"), (UserStatus.ACTIVE, "auth")],
)
def test_preauth_by_status(cloud: Running, status: UserStatus, result: str) -> None:
    client = cloud.client(cloud.application())
    user, _, _ = cloud.user()
    cloud.run(cloud.store.users.set_status, user.user_id, status)
    told = client.preauth(username="alice")
    assert told["result"] == result
    assert told["status_msg"]
    asked = client.auth("push", username="alice", device="auto", async_txn=True)
    told = client.auth_status(asked["txid"])
    assert told["waiting"] is (result == "auth")
    assert told["success"] is (result == "allow")


@pytest.mark.parametrize("policy", list(NewUsers))
def test_strangers(cloud: Running, policy: NewUsers) -> None:
    client = cloud.client(cloud.application(policy=Policy(new_users=policy)))
    told = client.preauth(username="nobody")
    assert told["result"] == policy.value
    assert told["status_msg"]
    if policy is NewUsers.ENROLL:
        assert len(told["enroll_portal_url"]) < 200  # it goes into a Reply-Message of 253 octets
    assert cloud.run(cloud.store.users.named, "nobody") is None


@pytest.mark.parametrize(
    ("verdict", "success", "status"),
    [(Verdict.APPROVE, True, "allow"), (Verdict.DENY, False, "deny"), (Verdict.FRAUD, False, "fraud")],
)
def test_push(cloud: Running, verdict: Verdict, success: bool, status: str) -> None:
    client = cloud.client(cloud.application())
    _, device_id, _ = cloud.user()
    txid = client.auth(
        "push", username="alice", device=device_id, type="VPN", pushinfo="Group=x&Host=y%20z", async_txn=True
    )["txid"]
    first = client.auth_status(txid)
    assert (first["waiting"], first["status"]) == (True, "pushed")
    second = later(lambda: client.auth_status(txid))
    cloud.decide(device_id, verdict)
    told = second()
    assert (told["waiting"], told["success"], told["status"]) == (False, success, status)
    assert told["status_msg"]
    assert client.auth_status(txid)["status"] == status


@pytest.mark.parametrize("first", [Verdict.DENY, Verdict.FRAUD])
def test_what_was_decided_stays(cloud: Running, first: Verdict) -> None:
    """No later word turns a no into a yes: not at another page, not by a form that is sent again."""
    client = cloud.client(cloud.application())
    _, device_id, _ = cloud.user()
    txid = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
    cloud.decide(device_id, first)
    before = client.auth_status(txid)["status"]
    device = cloud.run(cloud.store.devices.find, device_id)
    assert cloud.run(cloud.service.core.decide, [device], txid, Verdict.APPROVE) is Decided.TOO_LATE
    assert not cloud.run(cloud.store.logins.decide, txid, Result.ALLOW, Status.ALLOW)
    told = client.auth_status(txid)
    assert (told["success"], told["status"]) == (False, before)


def test_a_push_that_is_waited_for(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    _, device_id, _ = cloud.user()
    waiting = later(lambda: client.auth("auto", username="alice", device="auto"))
    cloud.decide(device_id, Verdict.APPROVE)
    assert waiting() == {"result": "allow", "status": "allow", "status_msg": "Success. Logging you in..."}


def test_polls_after_the_first_are_held(reactor_thread: Any, tmp_path: Any) -> None:
    cloud = Running(reactor_thread, tmp_path, hold=0.6)
    try:
        client = cloud.client(cloud.application())
        cloud.user()
        txid = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
        client.auth_status(txid)
        began = time.monotonic()
        assert client.auth_status(txid)["waiting"]
        assert time.monotonic() - began >= 0.55
    finally:
        cloud.stop()


def test_a_push_lives_for_a_minute(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    _, device_id, _ = cloud.user()
    txid = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
    cloud.clock.ahead = 59
    assert client.auth_status(txid)["waiting"]
    cloud.clock.ahead = 61
    told = client.auth_status(txid)
    assert (told["waiting"], told["success"], told["status"]) == (False, False, "timeout")
    # Too late for the phone, too.
    assert cloud.run(cloud.store.logins.decide, txid, *_allow()) is False
    assert client.auth_status(txid)["status"] == "timeout"
    cloud.run(cloud.store.tidy)
    cloud.clock.ahead = 0  # a clock that is set back doesn't bring it to life again
    assert client.auth_status(txid)["status"] == "timeout"
    assert device_id


def _allow() -> tuple[Any, Any]:
    from authproxy.embedded.cloud.model import Result, Status

    return Result.ALLOW, Status.ALLOW


def test_a_poll_that_is_held_ends_with_the_push(reactor_thread: Any, tmp_path: Any) -> None:
    cloud = Running(reactor_thread, tmp_path, limits=Limits(push_life=0.5))
    try:
        client = cloud.client(cloud.application())
        cloud.user()
        txid = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
        client.auth_status(txid)
        assert client.auth_status(txid)["status"] == "timeout"
    finally:
        cloud.stop()


def test_passcodes_count_once(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    _, device_id, _ = cloud.user()
    code = cloud.passcode(device_id)
    assert client.auth("passcode", username="alice", passcode=code)["result"] == "allow"
    told = client.auth("passcode", username="alice", passcode=code)
    assert (told["result"], told["status_msg"]) == ("deny", "Incorrect passcode. Please try again.")
    # The one before was skipped by using this one, and the next is good already.
    assert (
        client.auth("passcode", username="alice", passcode=cloud.passcode(device_id, -1))["result"] == "deny"
    )
    assert (
        client.auth("passcode", username="alice", passcode=cloud.passcode(device_id, 1))["result"] == "allow"
    )
    assert (
        client.auth("passcode", username="alice", passcode=cloud.passcode(device_id, 2))["result"] == "deny"
    )


def test_a_clock_that_drifts(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    _, device_id, _ = cloud.user()
    for steps, result in ((-2, "deny"), (2, "deny"), (-1, "allow"), (1, "allow")):
        passcode = cloud.passcode(device_id, steps)
        assert client.auth("passcode", username="alice", passcode=passcode)["result"] == result


def test_hotp_tokens_run_ahead(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    user, _, _ = cloud.user()
    token = cloud.run(
        cloud.store.devices.add, user.user_id, DeviceKind.TOKEN, otp=Otp.HOTP, otp_secret=new_otp_secret()
    )
    skipped = cloud.passcode(token.device_id, 4)
    before = cloud.passcode(token.device_id, 1)
    too_far = cloud.passcode(token.device_id, 20)
    assert client.auth("passcode", username="alice", passcode=skipped)["result"] == "allow"
    for code in (skipped, before, too_far):
        assert client.auth("passcode", username="alice", passcode=code)["result"] == "deny"


def test_bypass_codes(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    told = client.enroll("dora", bypass_codes=2)
    first, second = told["bypass_codes"]
    assert client.preauth(username="dora")["result"] == "auth"
    assert client.auth("passcode", username="dora", passcode=first)["result"] == "allow"
    assert client.auth("passcode", username="dora", passcode=first)["result"] == "deny"
    cloud.clock.ahead = 86401
    later_client = cloud.client(cloud.application("later"))
    with pytest.raises(RuntimeError, match="Bad request timestamp"):
        later_client.auth("passcode", username="dora", passcode=second)
    assert cloud.run(cloud.store.codes.has_bypass, told["user_id"]) is False


def test_texts(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    cloud.user(number="+49 151 2345678")
    told = client.auth("sms", username="alice", device="auto")
    assert (told["result"], told["status"]) == ("deny", "sent")
    ((kind, number, message),) = cloud.sender.sent
    assert (kind, number) == ("sms", "+49 151 2345678")
    codes = message.removeprefix("Passcodes: ").split()
    assert client.preauth(username="alice")["devices"][0]["sms_nextcode"] == "1"
    assert client.auth("passcode", username="alice", passcode=codes[0])["result"] == "allow"
    assert client.preauth(username="alice")["devices"][0]["sms_nextcode"] == "2"
    client.auth("sms", username="alice", device="auto")
    assert client.auth("passcode", username="alice", passcode=codes[1])["result"] == "deny"


def test_calls(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    _, device_id, _ = cloud.user(number="+49 151 2345678")
    txid = client.auth("phone", username="alice", device=device_id, async_txn=True)["txid"]
    assert client.auth_status(txid)["status"] == "calling"
    held = later(lambda: client.auth_status(txid))
    device = cloud.run(cloud.store.devices.find, device_id)
    cloud.run(cloud.service.core.answer, [device], txid)
    assert held()["status"] == "answered"
    held = later(lambda: client.auth_status(txid))
    cloud.decide(device_id, Verdict.APPROVE)
    assert held()["success"] is True
    assert cloud.sender.sent[0][0] == "phone"


def test_too_many_wrong_passcodes(reactor_thread: Any, tmp_path: Any) -> None:
    cloud = Running(reactor_thread, tmp_path, limits=Limits(failures=3, lockout=600))
    try:
        client = cloud.client(cloud.application())
        user, device_id, _ = cloud.user()
        told = [client.auth("passcode", username="alice", passcode="000000") for _ in range(3)]
        assert [(one["result"], one["status"]) for one in told] == [("deny", "deny")] * 2 + [
            ("deny", "locked_out")
        ]
        right = cloud.passcode(device_id)
        assert client.auth("passcode", username="alice", passcode=right)["status"] == "locked_out"
        assert client.preauth(username="alice")["result"] == "deny"
        cloud.run(cloud.store.users.unlock, user.user_id)
        assert client.auth("passcode", username="alice", passcode=right)["result"] == "allow"
    finally:
        cloud.stop()


def test_too_many_logins(reactor_thread: Any, tmp_path: Any) -> None:
    cloud = Running(reactor_thread, tmp_path, limits=Limits(waiting=2, per_minute=4))
    try:
        credentials = cloud.application()
        client = cloud.client(credentials)
        client._wait_for_429 = None
        _, device_id, _ = cloud.user()
        for _ in range(2):
            client.auth("push", username="alice", device="auto", async_txn=True)
        response, _ = raw(cloud, credentials, {"factor": "push", "device": "auto", "username": "alice"})
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 0
        for _ in range(2):
            cloud.decide(device_id, Verdict.DENY)
        for _ in range(2):
            client.auth("passcode", username="alice", passcode="000000")
        response, _ = raw(cloud, credentials, {"factor": "passcode", "passcode": "0", "username": "alice"})
        assert response.status == 429
    finally:
        cloud.stop()


def raw(cloud: Running, credentials: tuple[str, str], sent: dict[str, str]) -> tuple[Any, bytes]:
    """One call of auth without the client's own patience for 429."""
    client = cloud.client(credentials)
    client.max_retries = 0
    connection = cloud.https()
    captured: dict[str, Any] = {}

    def capture(method: str, uri: str, body: Any, headers: Any) -> tuple[Any, bytes]:
        captured.update(method=method, uri=uri, body=body, headers=headers)
        connection.request(method, uri, body, headers)
        response = connection.getresponse()
        return response, response.read()

    client._make_request = capture
    response, data = client.api_call("POST", "/auth/v2/auth", sent)
    connection.close()
    return response, data


def test_enrolment(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    told = client.enroll("Erin", valid_secs=600)
    assert told["username"] == "erin"
    assert told["activation_code"].startswith("duo://")
    assert abs(told["expiration"] - time.time() - 600) < 5
    assert client.enroll_status(told["user_id"], told["activation_code"]) == "waiting"
    with pytest.raises(RuntimeError, match="username already exists"):
        client.enroll("erin")
    assert client.preauth(username="erin")["result"] == "enroll"
    from authproxy.secret import Secret

    code = Secret.of(told["activation_code"].removeprefix("duo://"))
    assert cloud.run(cloud.service.enrolment.activate, code, "iPhone") is not None
    assert cloud.run(cloud.service.enrolment.activate, code, "iPhone") is None
    assert client.enroll_status(told["user_id"], told["activation_code"]) == "success"
    assert client.enroll_status("DUXXXXXXXXXXXXXXXXXX", told["activation_code"]) == "invalid"
    assert client.enroll_status(told["user_id"], "duo://nothing") == "invalid"
    assert client.preauth(username="erin")["result"] == "auth"
    assert client.enroll()["username"].startswith("user-")


def test_an_activation_runs_out(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    told = client.enroll("erin", valid_secs=10)
    cloud.clock.ahead = 11
    assert client.enroll_status(told["user_id"], told["activation_code"]) == "invalid"


def test_policy_leaves_factors_out(cloud: Running) -> None:
    client = cloud.client(cloud.application(policy=Policy(factors=frozenset({Factor.PASSCODE}))))
    _, device_id, _ = cloud.user(number="+49 151 2345678")
    assert client.preauth(username="alice")["devices"][0]["capabilities"] == ["mobile_otp"]
    for factor in ("push", "phone", "sms", "auto"):
        with pytest.raises(RuntimeError, match="no capable device"):
            client.auth(factor, username="alice", device="auto")
    assert client.auth("passcode", username="alice", passcode=cloud.passcode(device_id))["result"] == "allow"


def test_a_user_may_have_less_than_the_application_allows(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    narrow = cloud.client(cloud.application("narrow", Policy(factors=frozenset({Factor.PUSH}))))
    user, device_id, _ = cloud.user(number="+49 151 2345678")

    def rule(*factors: Factor) -> None:
        cloud.run(cloud.store.users.set_policy, user.user_id, UserPolicy(factors=frozenset(factors)))

    def can(asked: duo_client.Auth) -> list[str]:
        return list(asked.preauth(username="alice")["devices"][0]["capabilities"])

    rule(Factor.PASSCODE)
    assert can(client) == ["mobile_otp"]
    for factor in ("push", "phone", "sms", "auto"):
        with pytest.raises(RuntimeError, match="no capable device"):
            client.auth(factor, username="alice", device="auto")
    assert client.auth("passcode", username="alice", passcode=cloud.passcode(device_id))["result"] == "allow"
    # Nothing that the application doesn't allow comes with it.
    assert can(narrow) == []
    with pytest.raises(RuntimeError, match="factor"):
        narrow.auth("passcode", username="alice", passcode=cloud.passcode(device_id, 1))
    rule(Factor.PUSH)
    assert can(client) == ["auto", "push"]
    with pytest.raises(RuntimeError, match="factor"):
        client.auth("passcode", username="alice", passcode=cloud.passcode(device_id, 1))


@pytest.mark.parametrize("own", [NewUsers.ENROLL, NewUsers.DENY])
@pytest.mark.parametrize("others", list(NewUsers))
def test_a_user_without_a_device_by_their_own_rule(cloud: Running, others: NewUsers, own: NewUsers) -> None:
    client = cloud.client(cloud.application(policy=Policy(new_users=others)))
    user = cloud.run(cloud.store.users.add, "alice")
    cloud.run(cloud.store.users.set_policy, user.user_id, UserPolicy(without_device=own))
    assert client.preauth(username="alice")["result"] == own.value
    assert client.preauth(username="bob")["result"] == others.value
    cloud.run(cloud.store.users.set_policy, user.user_id, UserPolicy())
    assert client.preauth(username="alice")["result"] == others.value


def test_number_matching(cloud: Running) -> None:
    client = cloud.client(cloud.application(policy=Policy(number_matching=True)))
    _, device_id, _ = cloud.user()
    assert client.preauth(username="alice")["devices"][0]["capabilities"] == ["mobile_otp"]
    with pytest.raises(RuntimeError, match="no capable device"):
        client.auth("push", username="alice", device="auto")

    def begin() -> tuple[str, str]:
        told = client.preauth(username="alice", client_supports_verified_push="1")
        asked = client.json_api_call(
            "POST",
            "/auth/v2/auth",
            {"username": "alice", "factor": "push", "device": "auto", "async": "1", "txid": told["txid"]},
        )
        assert asked["txid"] == told["txid"]
        return told["txid"], told["verification_code"]

    txid, number = begin()
    cloud.decide(device_id, Verdict.APPROVE, number)
    assert client.auth_status(txid)["success"] is True
    txid, number = begin()
    cloud.decide(device_id, Verdict.APPROVE, f"{(int(number) + 1) % 1000:03d}")
    assert client.auth_status(txid)["status"] == "deny"
    txid, _ = begin()
    cloud.decide(device_id, Verdict.APPROVE)
    assert client.auth_status(txid)["status"] == "deny"
    # One that was used, was never offered, or is over, is no good.
    sent = {"username": "alice", "factor": "push", "device": "auto"}
    with pytest.raises(RuntimeError, match="txid"):
        client.json_api_call("POST", "/auth/v2/auth", sent | {"txid": txid})
    for ahead, wrong in ((0, "0" * 32), (61, "")):
        told = client.preauth(username="alice", client_supports_verified_push="1")
        cloud.clock.ahead = ahead
        with pytest.raises(RuntimeError, match="txid"):
            client.json_api_call("POST", "/auth/v2/auth", sent | {"txid": wrong or told["txid"]})


def test_remembered_clients(cloud: Running) -> None:
    credentials = cloud.application(policy=Policy(remember_hours=1))
    client = cloud.client(credentials)
    other = cloud.client(cloud.application("other", Policy(remember_hours=1)))
    _, device_id, _ = cloud.user()
    told = client.auth("passcode", username="alice", passcode=cloud.passcode(device_id))
    token = told["trusted_device_token"]
    assert client.preauth(username="alice", trusted_device_token=token)["result"] == "allow"
    assert client.preauth(username="alice", trusted_device_token=token + "x")["result"] == "auth"
    assert other.preauth(username="alice", trusted_device_token=token)["result"] == "auth"
    cloud.user("bob")
    assert client.preauth(username="bob", trusted_device_token=token)["result"] == "auth"
    denied = client.auth("passcode", username="alice", passcode="000000")
    assert "trusted_device_token" not in denied


def test_text_prompts(cloud: Running) -> None:
    client = cloud.client(cloud.application(), sig_version=2)
    _, device_id, _ = cloud.user(number="+49 151 2345678")

    def call(path: str, **sent: str) -> Any:
        return client.json_api_call("POST", f"/auth/v2/{path}", {"username": "alice", **sent})

    menu = call("preauth", text_prompt="1", failmode="open", hostname="vm")["prompt"]
    assert "1. Push a login request to iPhone (XXX-XXX-5678)" in menu["text"]
    assert menu["factors"] == {"default": "push1", "1": "push1", "2": "phone1", "3": "sms1"}
    assert call("auth", factor="prompt", prompt="sms1")["status"] == "sent"
    assert call("auth", factor="prompt", prompt=cloud.passcode(device_id))["result"] == "allow"
    txid = call("auth", factor="prompt", prompt="push1", **{"async": "1"})["txid"]
    assert client.auth_status(txid)["status"] == "pushed"
    with pytest.raises(RuntimeError, match="no capable device"):
        call("auth", factor="prompt", prompt="push2")
    with pytest.raises(RuntimeError, match="prompt"):
        call("auth", factor="prompt", prompt="what")
    told = client.json_api_call("POST", "/auth/v2/preauth", {"username": "nobody", "text_prompt": "1"})
    assert told["enroll_portal_url"] in told["prompt"]["text"]


def test_old_signatures_are_refused_unless_allowed(reactor_thread: Any, tmp_path: Any) -> None:
    cloud = Running(reactor_thread, tmp_path / "strict")
    old = Running(reactor_thread, tmp_path / "old", legacy=True)
    try:
        for running, allowed in ((cloud, False), (old, True)):
            credentials = running.application()
            running.user()
            for more in ({"sig_version": 1}, {"sig_version": 2, "digestmod": hashlib.sha1}):
                client = running.client(credentials, **more)
                if allowed:
                    assert client.preauth(username="alice")["result"] == "auth"
                    continue
                with pytest.raises(RuntimeError, match="Received 401"):
                    client.preauth(username="alice")
    finally:
        cloud.stop()
        old.stop()


def test_a_restart_loses_nothing_that_was_promised(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    _, device_id, _ = cloud.user()
    waiting = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
    cloud.decide(device_id, Verdict.APPROVE)
    finished = waiting
    waiting = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
    used = cloud.passcode(device_id)
    client.auth("passcode", username="alice", passcode=used)
    cloud.restart()
    assert client.auth_status(finished)["success"] is True
    assert client.auth_status(waiting)["status"] == "pushed"
    assert client.auth("passcode", username="alice", passcode=used)["result"] == "deny"
    cloud.decide(device_id, Verdict.APPROVE)
    assert client.auth_status(waiting)["success"] is True


def test_a_full_disk_lets_nobody_in(reactor_thread: Any, tmp_path: Any) -> None:
    """What can't be written down isn't promised: not a push, not an approval, not a passcode."""
    cloud = Running(reactor_thread, tmp_path)
    try:
        client = cloud.client(cloud.application())
        _, device_id, _ = cloud.user()
        waiting = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
        cloud.run(
            cloud.store.database.execute, "PRAGMA query_only=ON"
        )  # every write fails, as on a full disk
        for sent in ({"device": "auto"}, {"passcode": cloud.passcode(device_id)}):
            factor = "push" if "device" in sent else "passcode"
            with pytest.raises(RuntimeError, match="Received 500 Internal server error"):
                client.auth(factor, username="alice", **sent)
        with pytest.raises(sqlite3.OperationalError):
            cloud.decide(device_id, Verdict.APPROVE)
        assert client.auth_status(waiting)["waiting"] is True
        assert len(cloud.log.bugs) == 2
        cloud.run(cloud.store.database.execute, "PRAGMA query_only=OFF")
        assert (
            client.auth("passcode", username="alice", passcode=cloud.passcode(device_id))["result"] == "allow"
        )
        cloud.decide(device_id, Verdict.APPROVE)
        assert client.auth_status(waiting)["success"] is True
    finally:
        cloud.stop()


def test_another_application_learns_nothing(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    cloud.user()
    txid = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
    with pytest.raises(RuntimeError, match="txid"):
        cloud.client(cloud.application("other")).auth_status(txid)
    cloud.clock.ahead = 200
    client.auth_status(txid)


def test_what_another_process_decides_wakes_who_waits(cloud: Running) -> None:
    from authproxy.embedded.cloud.model import Result, Status
    from authproxy.embedded.cloud.store.store import open_store

    client = cloud.client(cloud.application())
    cloud.user()
    txid = client.auth("push", username="alice", device="auto", async_txn=True)["txid"]
    client.auth_status(txid)
    held = later(lambda: client.auth_status(txid))
    other = open_store(cloud.folder, time.time)
    began = time.monotonic()
    assert other.logins.decide(txid, Result.ALLOW, Status.ALLOW)
    other.close()
    assert held()["success"] is True
    assert time.monotonic() - began < 4
