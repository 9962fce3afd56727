"""The conversation with a service that does what it should."""

from __future__ import annotations

import threading

import pytest
from twisted.internet.defer import CancelledError, Deferred

from authproxy.pipeline.ports import (
    Device,
    FactorAllow,
    FactorCall,
    FactorDeny,
    FailureClass,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
)
from authproxy.protocols.cloud.dates import read_date
from authproxy.protocols.cloud.signing import Received, Signed, Version, verify
from authproxy.secret import Secret
from tests.backends.certificates import Authority, server_context
from tests.backends.cloud.conftest import IKEY, SKEY, Make
from tests.backends.cloud.scripted import (
    ALLOW,
    BEGUN,
    DENY,
    HOST,
    PREAUTH,
    TIME,
    TXID,
    WAITING,
    Request,
    Scripted,
    Wire,
    answers,
    fail,
    http,
    ok,
    says,
)


def test_preauth_says_which_devices(server: Scripted, make: Make) -> None:
    server.play(says(PREAUTH))
    asked = make(server.port)
    assert asked.preauth("jürgen", client_ip="192.0.2.7") == PreauthFactors(
        (Device("DP1", "phone", frozenset({"auto", "push", "sms", "phone"}), "iOS"),), "Account is active"
    )
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/auth/v2/preauth")
    assert request.params == {"username": "jürgen", "ipaddr": "192.0.2.7"}
    assert request.headers["host"] == f"localhost:{server.port}"
    assert "deadbeef" not in str(asked.log.seen)


def test_no_address_is_no_parameter(server: Scripted, make: Make) -> None:
    server.play(says(PREAUTH))
    make(server.port, hostname="vpn1").preauth()
    assert server.requests[0].params == {"username": "alice", "hostname": "vpn1"}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"result": "allow", "status_msg": "bypass"}, PreauthAllow("bypass")),
        ({"result": "deny", "status_msg": "Account\r\nis disabled"}, PreauthDeny("Account is disabled")),
        (
            {"result": "enroll", "status_msg": "Enroll", "enroll_portal_url": "https://x/portal?a=1"},
            PreauthEnroll("Enroll", "https://x/portal?a=1"),
        ),
        ({"result": "auth"}, PreauthFactors(())),
        ({"result": "auth", "devices": [], "unknown": {"a": 1}}, PreauthFactors(())),
        (
            {"result": "auth", "devices": [{"device": "T1", "type": "token", "name": "0"}]},
            PreauthFactors((Device("T1", "token", frozenset(), "0"),)),
        ),
    ],
)
def test_what_preauth_may_say(server: Scripted, make: Make, response: object, expected: object) -> None:
    server.play(says(ok(response)))
    assert make(server.port).preauth() == expected


def test_a_push_is_asked_for_once_and_its_fate_until_it_is_known(server: Scripted, make: Make) -> None:
    server.play(answers({"preauth": PREAUTH, "auth": BEGUN, "auth_status": [WAITING, ALLOW]}))
    asked = make(server.port)
    asked.preauth()
    assert asked.auth(client_ip="2001:db8::7") == FactorAllow("Success. Logging you in...", TXID)
    assert server.endpoints() == ["preauth", "auth", "auth_status", "auth_status"]
    assert server.connections == 1
    auth, status = server.requests[1:3]
    assert auth.params == {
        "username": "alice",
        "factor": "push",
        "device": "DP1",
        "async": "1",
        "ipaddr": "2001:db8::7",
    }
    assert (status.method, status.target) == ("GET", f"/auth/v2/auth_status?txid={TXID}")


@pytest.mark.parametrize("status", ["deny", "timeout", "fraud", "locked_out", "something_new"])
def test_what_a_user_may_say(server: Scripted, make: Make, status: str) -> None:
    final = ok({"result": "deny", "status": status, "status_msg": "No."})
    server.play(says(BEGUN, WAITING, final))
    assert make(server.port).auth() == FactorDeny(status, "No.", TXID)


def test_only_the_result_decides(server: Scripted, make: Make) -> None:
    server.play(says(BEGUN, ok({"result": "deny", "status": "allow", "status_msg": "allow"})))
    assert make(server.port).auth() == FactorDeny("allow", "allow", TXID)


def test_a_passcode_is_checked_at_once(server: Scripted, make: Make) -> None:
    server.play(says(ALLOW, DENY))
    asked = make(server.port)
    assert asked.auth(FactorCall("passcode", passcode=Secret(b"012345"))) == FactorAllow(
        "Success. Logging you in..."
    )
    assert server.requests[0].params == {"username": "alice", "factor": "passcode", "passcode": "012345"}
    assert asked.auth(FactorCall("passcode", passcode=Secret(b"1"))) == FactorDeny(
        "deny", "Login request denied."
    )
    assert asked.auth(FactorCall("passcode", passcode=Secret(b"\xff"))) == FactorDeny(
        "deny", "Incorrect passcode."
    )
    assert len(server.requests) == 2
    assert "012345" not in str(asked.log.seen)


def test_sms_is_sent_and_denied(server: Scripted, make: Make) -> None:
    server.play(says(ok({"result": "deny", "status": "sent", "status_msg": "New SMS passcodes sent."})))
    assert make(server.port).auth(FactorCall("sms", device="DP1")) == FactorDeny(
        "sent", "New SMS passcodes sent."
    )
    assert server.requests[0].params == {"username": "alice", "factor": "sms", "device": "DP1"}


def test_requests_are_signed(server: Scripted, make: Make) -> None:
    server.play(
        answers({"preauth": PREAUTH, "auth": BEGUN, "auth_status": ALLOW, "check": TIME, "ping": TIME})
    )
    asked = make(server.port)
    asked.preauth("ünïcode")
    asked.auth()
    asked.run(asked.cloud.check, 2)
    assert asked.run(asked.cloud.ping, 2) == 1_700_000_000
    for request in server.requests[:-1]:
        assert signed(request) == Signed(IKEY, Version.V5)
    assert "authorization" not in server.requests[-1].headers


def signed(request: Request) -> Signed:
    path, _, query = request.target.partition("?")
    received = Received(request.method, HOST, path, query, list(request.headers.items()), request.body)
    return verify(received, skey_of=lambda _: SKEY, now=read_date(request.headers["date"]))


def test_connections_are_kept(server: Scripted, make: Make) -> None:
    server.play(answers({"preauth": PREAUTH}))
    asked = make(server.port)
    for _ in range(5):
        asked.preauth()
    assert server.connections == 1
    health = asked.cloud.health()
    assert health.state.value == "up"
    assert health.connections == 1
    assert health.latency is not None
    assert health.last_failure is None
    assert asked.certificates.expiries()["localhost"] > 1_700_000_000


def test_a_service_that_closes_after_each_reply(server: Scripted, make: Make) -> None:
    def close_each(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(http(200, {"stat": "OK", "response": {"result": "allow"}}, "Connection: close"))
        wire.close()

    server.play(close_each)
    asked = make(server.port)
    for _ in range(3):
        assert asked.preauth() == PreauthAllow()
    assert server.connections == 3


@pytest.mark.parametrize(
    "reply",
    [
        b'HTTP/1.0 200 OK\r\n\r\n{"stat":"OK","response":{"result":"allow"}}',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"stat":"OK","response":{"result":"allow"}}',
    ],
)
def test_a_body_that_ends_with_its_connection(server: Scripted, make: Make, reply: bytes) -> None:
    def until_end(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(reply)
        wire.close()

    server.play(until_end)
    assert make(server.port).preauth() == PreauthAllow()


def test_a_chunked_body_in_small_pieces(server: Scripted, make: Make) -> None:
    body = b'{"stat":"OK","response":{"result":"allow"}}'
    chunks = b"".join(b"%x\r\n%c\r\n" % (1, octet) for octet in body) + b"0\r\n\r\n"

    def chunked(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 0)
        wire.until_closed()

    server.play(chunked)
    assert make(server.port).preauth() == PreauthAllow()


def test_a_kept_connection_that_has_died_is_replaced_without_a_word(server: Scripted, make: Make) -> None:
    closed = threading.Event()

    def once_then_die(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(PREAUTH)
        wire.request()  # the second one, which is not answered
        wire.reset()
        closed.set()

    server.play(once_then_die, says(PREAUTH))
    asked = make(server.port)
    asked.preauth()
    assert isinstance(asked.preauth(), PreauthFactors)
    assert closed.wait(5)
    assert server.connections == 2
    assert asked.cloud.health().state.value == "up"


def test_auth_is_never_sent_twice(server: Scripted, make: Make) -> None:
    def once_then_die(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(PREAUTH)
        wire.request()
        wire.reset()

    server.play(once_then_die, says(BEGUN, ALLOW))
    asked = make(server.port)
    asked.preauth()
    assert asked.failure(asked.auth).failure is FailureClass.UNREACHABLE
    assert server.endpoints() == ["preauth", "auth"]


def test_a_lost_poll_costs_no_second_push(server: Scripted, make: Make) -> None:
    def poll_lost(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(BEGUN)
        wire.request()
        wire.reset()

    def poll_cut(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(ALLOW[:-20])
        wire.cut()

    server.play(poll_lost, poll_cut, says(http(503, b""), fail(42901, "slow", "Retry-After: 0"), ALLOW))
    assert make(server.port).auth() == FactorAllow("Success. Logging you in...", TXID)
    assert server.endpoints().count("auth") == 1


def test_who_waits_for_a_user_is_not_worked_on(server: Scripted, make: Make) -> None:
    """A1: thousands may wait for their users; auth itself is our work still."""
    seen: list[int] = []

    def script(wire: Wire) -> None:
        wire.tls()
        for answer in (BEGUN, ALLOW):
            wire.request()
            seen.append(asked.workload.worked_on)
            wire.send(answer)
        wire.until_closed()

    server.play(script)
    asked = make(server.port)
    asked.workload.begin()
    assert asked.auth() == FactorAllow("Success. Logging you in...", TXID)
    assert seen == [1, 0]
    assert asked.workload.worked_on == 1


def test_a_login_whose_time_is_over(server: Scripted, make: Make) -> None:
    def hold(wire: Wire) -> None:
        wire.tls()
        for answer in (BEGUN, WAITING):
            wire.request()
            wire.send(answer)
        wire.until_closed()

    server.play(hold)
    assert make(server.port).auth(seconds=0.7) == FactorDeny("timeout", "Login timed out.", TXID)
    assert server.seen_closed.wait(5)


def test_a_service_that_holds_no_poll_is_not_asked_all_the_time(server: Scripted, make: Make) -> None:
    server.play(answers({"auth": BEGUN, "auth_status": WAITING}))
    assert make(server.port).auth(seconds=1.5) == FactorDeny("timeout", "Login timed out.", TXID)
    assert 2 <= server.endpoints().count("auth_status") <= 4


def test_a_poll_that_expired_is_asked_again(server: Scripted, make: Make) -> None:
    server.play(answers({"auth": BEGUN, "auth_status": [WAITING, fail(40002), ALLOW]}))
    assert make(server.port).auth() == FactorAllow("Success. Logging you in...", TXID)


def test_a_transaction_that_nobody_knows(server: Scripted, make: Make) -> None:
    server.play(answers({"auth": BEGUN, "auth_status": fail(40002)}))
    asked = make(server.port)
    assert asked.failure(asked.auth).failure is FailureClass.REQUEST
    assert server.endpoints().count("auth_status") == 3


def test_a_cancelled_login_closes_its_connection(server: Scripted, make: Make) -> None:
    asked_for = threading.Event()

    def hold(wire: Wire) -> None:
        wire.tls()
        wire.request()
        asked_for.set()
        wire.until_closed()

    server.play(hold)
    asked = make(server.port)

    def begin() -> Deferred[object]:
        return Deferred.fromCoroutine(asked.cloud.preauth(asked.request(), "alice"))

    started: list[Deferred[object]] = []
    asked.run(lambda: started.append(begin()))
    assert asked_for.wait(5)
    ended: list[object] = []

    def cancel() -> None:
        started[0].addErrback(lambda failure: ended.append(failure.value))
        started[0].cancel()

    asked.run(cancel)
    assert isinstance(ended[0], CancelledError)
    assert server.seen_closed.wait(5)


def test_closing_ends_what_is_in_progress(server: Scripted, make: Make) -> None:
    asked_for = threading.Event()

    def hold(wire: Wire) -> None:
        wire.tls()
        wire.request()
        asked_for.set()
        wire.until_closed()

    server.play(hold)
    asked = make(server.port)
    ended: list[object] = []
    done = threading.Event()

    def begin() -> None:
        login = Deferred.fromCoroutine(asked.cloud.preauth(asked.request(), "alice"))
        login.addErrback(lambda failure: ended.append(failure.value))
        login.addBoth(lambda _: done.set())

    asked.run(begin)
    assert asked_for.wait(5)
    asked.run(asked.cloud.close)
    assert done.wait(5)
    assert ended[0].failure is FailureClass.INTERNAL  # type: ignore[attr-defined]


def test_the_credentials_are_checked_at_the_start(server: Scripted, make: Make) -> None:
    server.play(answers({"check": TIME}))
    known: set[str] = set()
    asked = make(server.port, known=known)
    assert not asked.proven
    asked.run(asked.cloud.start)
    wait_for(lambda: bool(asked.proven))
    assert len(known) == 1
    assert make(server.port, known=known).proven
    assert not make(server.port, known=known, skey=Secret(b"other" * 8)).proven
    assert not make(server.port, known=known, ikey="DIYYY").proven
    assert not make(server.port, known=known, host="127.0.0.1").proven
    assert not make(server.port + 1, known=known).proven
    assert SKEY.reveal().decode() not in str(known)


def test_a_check_that_fails_is_made_again(
    server: Scripted, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authproxy.backends.cloud.cloud.FIRST_CHECK_AGAIN", 0.05)
    server.play(answers({"check": [fail(40103), http(503, b""), TIME]}))
    asked = make(server.port)
    asked.run(asked.cloud.start)
    wait_for(lambda: bool(asked.proven))
    names = asked.log.names()
    assert names.count("cloud.check_failed") == 2
    assert names[-1] == "cloud.proven"


def wait_for(condition: object) -> None:
    for _ in range(500):
        if condition():  # type: ignore[operator]
            return
        threading.Event().wait(0.01)
    raise AssertionError("it didn't happen")


def test_any_signed_answer_proves(server: Scripted, make: Make) -> None:
    server.play(answers({"preauth": PREAUTH, "ping": TIME}))
    asked = make(server.port)
    asked.run(asked.cloud.ping, 2)
    assert not asked.proven
    asked.preauth()
    assert asked.proven


def test_a_refusal_proves_nothing(server: Scripted, make: Make) -> None:
    server.play(answers({"preauth": fail(40103), "check": fail(40002)}))
    asked = make(server.port)
    asked.failure(asked.preauth)
    asked.failure(asked.run, asked.cloud.check, 2)
    assert not asked.proven


def test_what_cannot_be_kept_is_said(server: Scripted, make: Make) -> None:
    class Full(set[str]):
        def add(self, name: str) -> None:
            raise OSError(28, "No space left on device")

    server.play(answers({"preauth": PREAUTH}))
    asked = make(server.port, known=Full())
    asked.preauth()
    assert asked.proven
    assert "cloud.proof_not_kept" in asked.log.names()


def test_no_address_of_the_environment(server: Scripted, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.play(says(PREAUTH))
    assert isinstance(make(server.port).preauth(), PreauthFactors)


def test_a_name_that_is_not_ascii(server: Scripted, make: Make, authority: Authority) -> None:
    context = server_context(authority.issue("xn--bcher-kva.example"))

    def serve(wire: Wire) -> None:
        wire.tls(context)
        wire.request()
        wire.send(PREAUTH)
        wire.until_closed()

    def lookup(*_: object, **__: object) -> object:
        return [(2, 1, 6, "", ("127.0.0.1", 0))]

    server.play(serve)
    assert isinstance(make(server.port, host="bücher.example", lookup=lookup).preauth(), PreauthFactors)
    (request,) = server.requests
    assert request.headers["host"] == f"xn--bcher-kva.example:{server.port}"
