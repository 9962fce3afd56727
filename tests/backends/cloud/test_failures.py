"""Every class of the contract's section 8, each brought about at a real socket."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.defer import Deferred, gatherResults

from authproxy.backends.cloud import connecting
from authproxy.backends.cloud.pool import PoolLimits
from authproxy.backends.tls import Trust, UnusableTrust
from authproxy.pipeline.ports import FailureClass, PreauthAllow, PreauthFactors
from authproxy.protocols.cloud.dates import read_date
from tests.backends.certificates import DAY, Authority, server_context
from tests.backends.cloud.conftest import Asked, Make
from tests.backends.cloud.scripted import (
    ALLOW,
    BEGUN,
    HOST,
    PREAUTH,
    TIME,
    WAITING,
    Script,
    Scripted,
    Wire,
    answers,
    fail,
    http,
    ok,
    says,
)

UNREACHABLE, SERVER_ERROR = FailureClass.UNREACHABLE, FailureClass.SERVER_ERROR
UNTRUSTED, CREDENTIAL = FailureClass.UNTRUSTED, FailureClass.CREDENTIAL
REQUEST, OVERLOAD, PROTOCOL = FailureClass.REQUEST, FailureClass.OVERLOAD, FailureClass.PROTOCOL
SKEW, INTERNAL = FailureClass.SKEW, FailureClass.INTERNAL


# ---- the connection


def test_refused(server: Scripted, make: Make) -> None:
    server.stop_listening()
    assert made_failure(make(server.port)) is UNREACHABLE


def made_failure(asked: Asked, **kwargs: Any) -> FailureClass:
    return asked.failure(asked.preauth, **kwargs).failure


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port on which SYNs are dropped: the queue of those who were not accepted is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port
        for one in waiting:
            one.close()


def test_black_hole(black_hole: int, make: Make) -> None:
    asked = make(black_hole, limits=PoolLimits(connect_seconds=0.3))
    began = asked.reactor.seconds()
    assert made_failure(asked) is UNREACHABLE
    assert asked.reactor.seconds() - began < 2


def test_many_in_a_black_hole_cost_one_timeout(black_hole: int, make: Make) -> None:
    """Those who found no place among the connects in progress get what these met."""
    from twisted.internet.defer import (
        Deferred,
        gatherResults,
    )

    limits = PoolLimits(connect_seconds=0.4, connecting=4)
    asked = make(black_hole, limits=limits, preauth_seconds=0.6)

    def all_at_once() -> Any:
        logins = [Deferred.fromCoroutine(asked.cloud.preauth(asked.request(), f"u{at}")) for at in range(20)]
        return gatherResults([login.addErrback(lambda failure: failure.value) for login in logins])

    began = asked.reactor.seconds()
    failures = asked.run(all_at_once)
    assert {failure.failure for failure in failures} == {UNREACHABLE}
    assert asked.reactor.seconds() - began < 2


def silent_tls(wire: Wire) -> None:
    wire.until_closed()


def reset_in_handshake(wire: Wire) -> None:
    wire.socket.recv(1)
    wire.reset()


def end_in_handshake(wire: Wire) -> None:
    while len(wire.socket.recv(65536)) < 100:
        pass
    wire.cut()


def end_at_once(wire: Wire) -> None:
    wire.cut()


def reset_before_request(wire: Wire) -> None:
    wire.tls()
    wire.reset()


def reset_after_request(wire: Wire) -> None:
    wire.tls()
    wire.request()
    wire.reset()


def close_after_request(wire: Wire) -> None:
    wire.tls()
    wire.request()
    wire.close()


def never_reply(wire: Wire) -> None:
    wire.tls()
    wire.request()
    wire.until_closed()


def plaintext(wire: Wire) -> None:
    wire.socket.recv(65536)
    wire.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    wire.until_closed()


def plaintext_banner(wire: Wire) -> None:
    wire.send(b"220 mail.example.com ESMTP\r\n")
    wire.until_closed()


def alert(wire: Wire) -> None:
    """A TLS server that wants nothing we have."""
    wire.socket.recv(65536)
    wire.send(b"\x15\x03\x03\x00\x02\x02\x28")  # fatal, handshake_failure
    wire.until_closed()


def alert_instead_of_a_reply(wire: Wire) -> None:
    wire.tls()
    wire.request()
    raw = wire.socket.fileno()
    import os

    os.write(raw, b"\x17\x03\x03\x00\x20" + b"\0" * 32)  # a record that nobody encrypted
    wire.until_closed()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (silent_tls, UNREACHABLE),
        (reset_in_handshake, UNREACHABLE),
        (end_in_handshake, UNREACHABLE),
        (end_at_once, UNREACHABLE),
        (reset_before_request, UNREACHABLE),
        (reset_after_request, UNREACHABLE),
        (close_after_request, UNREACHABLE),
        (never_reply, UNREACHABLE),
        (plaintext, UNTRUSTED),
        (plaintext_banner, UNTRUSTED),
        (alert, UNTRUSTED),
        (alert_instead_of_a_reply, UNTRUSTED),
    ],
)
def test_connections_that_end(server: Scripted, make: Make, script: Script, expected: FailureClass) -> None:
    server.play(script)
    asked = make(server.port, preauth_seconds=0.5, limits=PoolLimits(connect_seconds=0.5))
    assert made_failure(asked) is expected
    assert asked.cloud.health().last_failure is expected
    assert asked.cloud.health().connections == 0


# ---- certificates


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["example.com"]),
        ({}, []),
        ({"common_name": HOST}, []),
        ({"common_name": HOST}, ["example.com"]),
        ({}, ["127.0.0.1"]),
        ({}, ["*.localhost"]),
        ({}, ["local*"]),
        ({"end": -DAY}, [HOST]),
        ({"begin": DAY / 2}, [HOST]),
        ({"usage": ExtendedKeyUsageOID.CLIENT_AUTH}, [HOST]),
    ],
)
def test_wrong_certificates(
    server: Scripted, make: Make, authority: Authority, given: dict[str, Any], names: list[str]
) -> None:
    wrong = server_context(issue(authority, names, **given))

    def show(wire: Wire) -> None:
        wire.tls(wrong)
        wire.request()
        wire.send(PREAUTH)

    server.play(show)
    asked = make(server.port)
    assert made_failure(asked) is UNTRUSTED
    assert server.requests == []
    assert "cloud.untrusted" in asked.log.names()


def issue(authority: Authority, names: list[str], **given: Any) -> Path:
    begin = given.pop("begin", None)
    if begin is None:
        return authority.issue(*names, **given)
    return authority.issue(*names, begin=begin, end=DAY * 3, **given)


def test_another_authority(server: Scripted, make: Make, other_authority: Authority) -> None:
    foreign = server_context(other_authority.issue(HOST))

    def show(wire: Wire) -> None:
        wire.tls(foreign)
        wire.request()

    server.play(show)
    assert made_failure(make(server.port)) is UNTRUSTED
    # And the system's store knows neither.
    assert made_failure(make(server.port, trust=Trust())) is UNTRUSTED


def test_the_system_s_store(
    server: Scripted, make: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL's own variable stands in for a system whose administrator installed our authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    server.play(says(PREAUTH))
    assert isinstance(make(server.port, trust=Trust()).preauth(), PreauthFactors)


@pytest.mark.parametrize("names", [["127.0.0.1"], ["example.com", "127.0.0.1"]])
def test_an_address_is_a_name_like_another(
    server: Scripted, make: Make, authority: Authority, names: list[str]
) -> None:
    right = server_context(authority.issue(*names))

    def show(wire: Wire) -> None:
        wire.tls(right)
        wire.request()
        wire.send(PREAUTH)
        wire.until_closed()

    server.play(show)
    assert isinstance(make(server.port, host="127.0.0.1").preauth(), PreauthFactors)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_only_new_versions_are_spoken(server: Scripted, make: Make, authority: Authority) -> None:
    old = server_context(authority.issue(HOST))
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1

    def show(wire: Wire) -> None:
        wire.tls(old)

    server.play(show)
    assert made_failure(make(server.port)) is UNTRUSTED


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAA\n"])
def test_a_bad_authority_file_stops_the_start(make: Make, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnusableTrust, match=r"ca\.pem"):
        make(1, trust=Trust(ca_file=file))


@pytest.mark.parametrize("trust", [{"verify": False}, {"verify_hostname": False}])
def test_the_cloud_is_always_verified(make: Make, authority: Authority, trust: dict[str, bool]) -> None:
    with pytest.raises(UnusableTrust, match="always"):
        make(1, trust=Trust(ca_file=authority.ca, **trust))


# ---- replies


def sends(octets: bytes, *, then: str = "wait") -> Script:
    def script(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(octets)
        match then:
            case "wait":
                wire.until_closed()
            case "close":
                wire.close()
            case "cut":
                wire.cut()
            case "reset":
                wire.reset()

    return script


def drips(octets: bytes) -> Script:
    def script(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.drip(octets, 0.05)

    return script


ALLOWED = ok({"result": "allow"})
HEAD_END = ALLOWED.index(b"\r\n\r\n") + 4


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(sends(ALLOWED[:1], then="reset"), PROTOCOL, id="one octet, reset"),
        pytest.param(sends(ALLOWED[:20], then="cut"), PROTOCOL, id="head cut"),
        pytest.param(sends(ALLOWED[:20], then="close"), PROTOCOL, id="head closed"),
        pytest.param(sends(ALLOWED[:20]), PROTOCOL, id="head stalls"),
        pytest.param(sends(ALLOWED[:HEAD_END]), PROTOCOL, id="body never comes"),
        pytest.param(sends(ALLOWED[:-1], then="close"), PROTOCOL, id="body closed"),
        pytest.param(sends(ALLOWED[:-1], then="cut"), PROTOCOL, id="body cut"),
        pytest.param(sends(ALLOWED[:-1], then="reset"), PROTOCOL, id="body reset"),
        pytest.param(drips(ALLOWED), PROTOCOL, id="drip"),
        pytest.param(drips(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000), PROTOCOL, id="drip of headers"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000), PROTOCOL, id="gigantic header"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000), PROTOCOL, id="too many headers"),
        pytest.param(sends(http(200, b"{" + b" " * 300_000)), PROTOCOL, id="gigantic body"),
        pytest.param(sends(http(200, b"", length=1 << 40)), PROTOCOL, id="gigantic length"),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + b" " * 300_000),
            PROTOCOL,
            id="gigantic chunks",
        ),
        pytest.param(
            sends(b"HTTP/1.0 200 OK\r\n\r\n" + ALLOWED[HEAD_END:], then="cut"), PROTOCOL, id="until_end, cut"
        ),
        pytest.param(
            sends(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%b\r\n0\r\n\r\njunk" % (len(ALLOWED) - HEAD_END, ALLOWED[HEAD_END:])
            ),
            PROTOCOL,
            id="junk behind the chunks",
        ),
        pytest.param(sends(ALLOWED + ALLOWED), PROTOCOL, id="two replies"),
        pytest.param(sends(ALLOWED + b"HTTP/1.1 200"), PROTOCOL, id="one reply and a bit"),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            PROTOCOL,
            id="two lengths",
        ),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: magic\r\n\r\n{}", then="close"),
            PROTOCOL,
            id="magic",
        ),
        pytest.param(sends(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"), PROTOCOL, id="no CR"),
        pytest.param(sends(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"), PROTOCOL, id="HTTP/2.0"),
        pytest.param(sends(b"SSH-2.0-OpenSSH\r\n"), PROTOCOL, id="not HTTP"),
        pytest.param(sends(b"\0\xff" * 40), PROTOCOL, id="noise"),
        pytest.param(sends(b"HTTP/1.1 100 Continue\r\n\r\n" + ALLOWED), PROTOCOL, id="100 first"),
        pytest.param(
            sends(b"HTTP/1.1 101 Switching\r\nUpgrade: h2\r\nConnection: upgrade\r\n\r\n"), PROTOCOL, id="101"
        ),
        pytest.param(sends(http(200, b"")), PROTOCOL, id="empty"),
        pytest.param(sends(http(200, b"<html>captive portal</html>")), PROTOCOL, id="HTML"),
        pytest.param(sends(http(200, None)), PROTOCOL, id="null"),
        pytest.param(sends(http(200, [])), PROTOCOL, id="list"),
        pytest.param(sends(http(200, {})), PROTOCOL, id="no stat"),
        pytest.param(sends(http(200, b"[" * 200_000)), PROTOCOL, id="deep"),
        pytest.param(sends(http(200, {"stat": "FAIL", "code": 40002})), PROTOCOL, id="FAIL with 200"),
        pytest.param(sends(http(200, {"stat": "FAIL", "code": 50001})), PROTOCOL, id="5xx with 200"),
        pytest.param(sends(http(200, {"stat": "OK"})), PROTOCOL, id="no response"),
        pytest.param(sends(ok(None)), PROTOCOL, id="null response"),
        pytest.param(sends(ok("allow")), PROTOCOL, id="text response"),
        pytest.param(sends(ok({})), PROTOCOL, id="no result"),
        pytest.param(sends(ok({"result": "maybe"})), PROTOCOL, id="unknown result"),
        pytest.param(sends(ok({"result": "ALLOW"})), PROTOCOL, id="ALLOW"),
        pytest.param(sends(ok({"result": True})), PROTOCOL, id="result true"),
        pytest.param(sends(ok({"result": ["allow"]})), PROTOCOL, id="result list"),
        pytest.param(sends(ok({"status": "allow"})), PROTOCOL, id="status only"),
        pytest.param(sends(ok({"result": "auth", "devices": {}})), PROTOCOL, id="devices object"),
        pytest.param(sends(ok({"result": "auth", "devices": [7]})), PROTOCOL, id="device number"),
        pytest.param(sends(ok({"result": "auth", "devices": [{}]})), PROTOCOL, id="device without id"),
        pytest.param(
            sends(ok({"result": "auth", "devices": [{"device": "a b"}]})), PROTOCOL, id="device id with space"
        ),
        pytest.param(
            sends(ok({"result": "auth", "devices": [{"device": "D", "capabilities": "push"}]})),
            PROTOCOL,
            id="capabilities text",
        ),
        pytest.param(sends(http(201, {"stat": "OK", "response": {"result": "allow"}})), REQUEST, id="201"),
        pytest.param(sends(b"HTTP/1.1 204 No Content\r\n\r\n"), REQUEST, id="204"),
        pytest.param(sends(http(301, b"", "Location: https://localhost/other")), REQUEST, id="301"),
        pytest.param(sends(http(302, b"", "Location: /auth/v2/ping")), REQUEST, id="302"),
        pytest.param(sends(http(304, b"")), REQUEST, id="304"),
        pytest.param(sends(fail(40002)), REQUEST, id="400"),
        pytest.param(sends(http(404, b"<h1>not here</h1>")), REQUEST, id="404"),
        pytest.param(sends(http(405, b"")), REQUEST, id="405"),
        pytest.param(sends(http(407, b"")), REQUEST, id="407"),
        pytest.param(sends(fail(40101)), CREDENTIAL, id="40101"),
        pytest.param(sends(fail(40103)), CREDENTIAL, id="40103"),
        pytest.param(sends(http(401, b"who?")), CREDENTIAL, id="401 HTML"),
        pytest.param(sends(fail(40301)), CREDENTIAL, id="403"),
        pytest.param(sends(http(501, b"")), PROTOCOL, id="501"),
        pytest.param(sends(http(999, b"")), PROTOCOL, id="999"),
    ],
)
def test_replies(server: Scripted, make: Make, script: Script, expected: FailureClass) -> None:
    server.play(script)
    asked = make(server.port, preauth_seconds=1.5)
    assert made_failure(asked) is expected
    assert server.connections == 1, "none of these is tried again"


def test_a_body_without_end_is_not_read_to_its_end(server: Scripted, make: Make) -> None:
    """T8: at the first octet too many, and not at the deadline, by when it fills the memory."""

    def endless(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            wire.send(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        wire.until_closed()

    server.play(endless)
    asked = make(server.port, preauth_seconds=2.0)
    failure = asked.failure(asked.preauth)
    assert failure.failure is PROTOCOL
    assert failure.detail == "a body of more than 262144 octets"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors_are_tried_once_more(server: Scripted, make: Make, status: int) -> None:
    broken = http(status, b"<html>gateway</html>")
    server.play(says(broken, broken, PREAUTH))
    assert made_failure(make(server.port)) is SERVER_ERROR
    assert server.endpoints() == ["preauth"] * 2


def test_a_server_error_that_passes(server: Scripted, make: Make) -> None:
    server.play(says(fail(50001), PREAUTH))
    assert isinstance(make(server.port).preauth(), PreauthFactors)


def test_a_server_error_that_is_cut_short(server: Scripted, make: Make) -> None:
    server.play(sends(http(500, b"<html>", length=100), then="cut"))
    assert made_failure(make(server.port)) is PROTOCOL


def test_auth_is_not_tried_again_after_a_server_error(server: Scripted, make: Make) -> None:
    server.play(says(fail(50001), BEGUN))
    asked = make(server.port)
    assert asked.failure(asked.auth).failure is SERVER_ERROR
    assert server.endpoints() == ["auth"]


# ---- not now


def test_too_many_requests(server: Scripted, make: Make) -> None:
    later = fail(42901, "Too Many Requests", "Retry-After: 0")
    server.play(says(later, later, PREAUTH))
    assert isinstance(make(server.port).preauth(), PreauthFactors)
    server.play(says(later, later, later, PREAUTH))
    assert made_failure(make(server.port)) is OVERLOAD
    assert server.endpoints() == ["preauth"] * 6


def test_waiting_has_to_fit(server: Scripted, make: Make) -> None:
    server.play(says(fail(42901, "Too Many Requests", "Retry-After: 30"), PREAUTH))
    asked = make(server.port)
    began = asked.reactor.seconds()
    assert made_failure(asked) is OVERLOAD
    assert asked.reactor.seconds() - began < 1
    assert server.endpoints() == ["preauth"]


def test_a_push_is_not_asked_for_again_when_there_are_too_many(server: Scripted, make: Make) -> None:
    server.play(says(fail(42901, "x", "Retry-After: 0"), BEGUN, ALLOW))
    asked = make(server.port)
    assert asked.failure(asked.auth).failure is OVERLOAD
    assert server.endpoints() == ["auth"]


# ---- not your time


def test_the_clock_is_taken_from_the_service_once(server: Scripted, make: Make) -> None:
    server.play(answers({"preauth": [fail(40105), PREAUTH, PREAUTH], "ping": TIME}))
    asked = make(server.port)
    asked.preauth()
    asked.preauth()
    assert server.endpoints() == ["preauth", "ping", "preauth", "preauth"]
    for request in server.requests[2:]:
        assert abs(read_date(request.headers["date"]) - 1_700_000_000) < 5
    assert "cloud.clock_differs" in asked.log.names()


@pytest.mark.parametrize(
    "ping", [TIME, http(500, b""), ok({"time": "now"}), ok({"time": 0}), ok({}), ok(True)]
)
def test_a_clock_that_never_fits(server: Scripted, make: Make, ping: bytes) -> None:
    server.play(answers({"preauth": fail(40105), "ping": ping}))
    assert made_failure(make(server.port)) is SKEW
    assert server.endpoints().count("preauth") <= 2


def test_a_push_is_not_lost_for_a_clock(server: Scripted, make: Make) -> None:
    server.play(answers({"auth": [fail(40105), BEGUN], "ping": TIME, "auth_status": ALLOW}))
    make(server.port).auth()
    assert server.endpoints() == ["auth", "ping", "auth", "auth_status"]


# ---- whose answer


@pytest.mark.parametrize(
    "final",
    [
        {"result": "allow", "txid": "another"},
        {"result": "allow", "username": "bob"},
        {"result": "allow", "txid": None},
        {"result": "waiting", "txid": "another"},
        {"result": "allowed"},
        {"result": ""},
        {},
        [],
        "allow",
    ],
)
def test_an_answer_that_is_not_ours(server: Scripted, make: Make, final: object) -> None:
    server.play(answers({"auth": BEGUN, "auth_status": [WAITING, ok(final)]}))
    asked = make(server.port)
    assert asked.failure(asked.auth).failure is PROTOCOL


@pytest.mark.parametrize(
    "begun", [{}, {"txid": ""}, {"txid": 7}, {"txid": "a" * 256}, {"txid": "a\nb"}, None]
)
def test_a_push_without_a_transaction(server: Scripted, make: Make, begun: object) -> None:
    server.play(says(ok(begun)))
    asked = make(server.port)
    assert asked.failure(asked.auth).failure is PROTOCOL


def test_a_passcode_is_not_waited_for(server: Scripted, make: Make) -> None:
    from authproxy.pipeline.ports import FactorCall
    from authproxy.secret import Secret

    server.play(says(WAITING))
    asked = make(server.port)
    assert asked.failure(asked.auth, FactorCall("passcode", passcode=Secret(b"1"))).failure is PROTOCOL


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fail(40103), CREDENTIAL),
        (fail(40301), CREDENTIAL),
        (http(404, b""), REQUEST),
        (http(200, b"x"), PROTOCOL),
    ],
)
def test_polls_that_are_refused(server: Scripted, make: Make, answer: bytes, expected: FailureClass) -> None:
    server.play(answers({"auth": BEGUN, "auth_status": answer}))
    asked = make(server.port)
    assert asked.failure(asked.auth).failure is expected
    assert server.endpoints() == ["auth", "auth_status"]


def test_polls_that_are_lost_until_nobody_waits(server: Scripted, make: Make) -> None:
    server.play(answers({"auth": BEGUN, "auth_status": http(503, b"")}))
    asked = make(server.port)
    assert asked.failure(asked.auth, seconds=1.2).failure is SERVER_ERROR


def test_a_whole_answer_in_a_body_that_is_not_whole(server: Scripted, make: Make) -> None:
    """It reads like an allow, but the service had more to say."""
    body = ALLOWED[HEAD_END:]
    server.play(sends(http(200, body, length=len(body) + 1), then="close"))
    asked = make(server.port)
    assert made_failure(asked) is PROTOCOL
    server.play(
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body, then="close")
    )
    assert made_failure(asked) is PROTOCOL


def test_an_interim_reply_ends_the_exchange(server: Scripted, make: Make) -> None:
    server.play(sends(b"HTTP/1.1 103 Early Hints\r\n\r\n"))
    asked = make(server.port)
    assert "interim" in asked.failure(asked.preauth).detail
    assert server.seen_closed.wait(5)


def test_octets_that_nobody_asked_for(server: Scripted, make: Make) -> None:
    """A reply that lies ready would be taken for the next request's."""
    sent = threading.Event()

    def ahead(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.send(PREAUTH)
        wire.server.over.wait(0.05)
        with contextlib.suppress(OSError):
            wire.send(ALLOWED)
        wire.until_closed()
        sent.set()

    server.play(ahead, says(PREAUTH))
    asked = make(server.port)
    asked.preauth()
    assert sent.wait(5)
    assert isinstance(asked.preauth(), PreauthFactors)
    assert server.connections == 2


def test_two_replies_to_one_of_two_questions(server: Scripted, make: Make) -> None:
    """The second lies ready when the next login takes the connection over, in the same turn of the event loop."""

    def two(wire: Wire) -> None:
        wire.tls()
        wire.request()
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        wire.send(PREAUTH)
        wire.send(ALLOWED)
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        wire.until_closed()

    server.play(two, says(PREAUTH))
    asked = make(server.port, limits=PoolLimits(connections=1))

    def both() -> Any:
        logins = [Deferred.fromCoroutine(asked.cloud.preauth(asked.request(), name)) for name in ("a", "b")]
        return gatherResults(logins)

    assert [type(found) for found in asked.run(both)] == [PreauthFactors, PreauthFactors]
    assert server.connections == 2


# ---- our own


def test_our_own_bug_is_told_and_opens_nothing(
    server: Scripted, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(self: object, octets: bytes) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("authproxy.backends.cloud.http1._Answering.feed", bug)
    server.play(says(PREAUTH))
    asked = make(server.port)
    with pytest.raises(Exception, match="internal") as failed:
        asked.preauth()
    assert failed.value.failure is INTERNAL  # type: ignore[attr-defined]
    assert [type(found) for found in asked.log.bugs] == [KeyError]


def test_no_descriptors_left_is_our_own_lack(
    server: Scripted, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, *_: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

    asked = make(server.port)
    monkeypatch.setattr(connecting.socket, "socket", Full)
    assert made_failure(asked) is INTERNAL


def test_no_time_left(server: Scripted, make: Make) -> None:
    server.play(says(PREAUTH))
    asked = make(server.port)
    assert made_failure(asked, seconds=-1) is OVERLOAD
    assert server.connections == 0


def test_too_many_of_us(server: Scripted, make: Make) -> None:
    """Waiting for a place among our own is no outage of the cloud's."""
    from twisted.internet.defer import Deferred

    asked_for = threading.Event()

    def hold(wire: Wire) -> None:
        wire.tls()
        wire.request()
        asked_for.set()
        wire.until_closed()

    server.play(hold)
    asked = make(server.port, limits=PoolLimits(connections=1))
    holding: list[Deferred[Any]] = []

    def begin() -> None:
        login = Deferred.fromCoroutine(asked.cloud.preauth(asked.request(), "alice"))
        holding.append(login.addErrback(lambda _: None))

    asked.run(begin)
    assert asked_for.wait(5)
    assert made_failure(asked, seconds=0.3) is OVERLOAD


def test_the_known_timeout_is_for_one_request(server: Scripted, make: Make) -> None:
    server.play(never_reply)
    asked = make(server.port, api_timeout=0.3, preauth_seconds=10)
    began = asked.reactor.seconds()
    assert made_failure(asked) is UNREACHABLE
    assert asked.reactor.seconds() - began < 2


# ---- names


def resolving(*answers: Callable[[], list[str]]) -> Any:
    """A look-up that answers in turn, the last one for ever."""
    left = list(answers)

    def lookup(name: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        answer = left[0] if len(left) == 1 else left.pop(0)
        return [
            (socket.AF_INET6 if ":" in found else socket.AF_INET, 1, 6, "", (found, 0, 0, 0))
            for found in answer()
        ]

    return lookup


def nowhere() -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def no_server() -> list[str]:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_no_name_server(make: Make) -> None:
    assert made_failure(make(1, host="api.example.com", lookup=resolving(no_server))) is UNREACHABLE


def test_a_name_that_never_was(make: Make) -> None:
    assert made_failure(make(1, host="api.example.com", lookup=resolving(nowhere))) is UNREACHABLE


def test_a_name_that_is_gone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authproxy.backends.resolve.FRESH", 0.0)
    asked = make(1, host="api.example.com", lookup=resolving(lambda: ["127.0.0.1"], nowhere))
    assert made_failure(asked) is UNREACHABLE
    assert made_failure(asked) is UNTRUSTED


def test_a_name_that_is_gone_since_before_the_restart(
    server: Scripted, make: Make, authority: Authority
) -> None:
    known: set[str] = set()
    name = "cloud.example"

    def serve(wire: Wire) -> None:
        wire.tls(server_context(authority.issue(name)))
        wire.request()
        wire.send(PREAUTH)
        wire.until_closed()

    server.play(serve)
    make(server.port, host=name, known=known, lookup=resolving(lambda: ["127.0.0.1"])).preauth()
    assert known
    gone = make(server.port, host=name, known=known, lookup=resolving(nowhere))
    assert made_failure(gone) is UNTRUSTED


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "100.64.0.1",
        "224.0.0.1",
        "::",
    ],
)
def test_a_name_that_points_to_the_inside(server: Scripted, make: Make, address: str) -> None:
    asked = make(server.port, host="api.example.com", allow_local=False, lookup=resolving(lambda: [address]))
    assert made_failure(asked) is UNTRUSTED
    assert server.connections == 0


def test_one_inside_address_among_others_is_enough(server: Scripted, make: Make) -> None:
    lookup = resolving(lambda: ["198.41.0.4", "127.0.0.1"])
    asked = make(server.port, host="api.example.com", allow_local=False, lookup=lookup)
    assert made_failure(asked) is UNTRUSTED


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.1.2.3"])
def test_an_inside_address_has_to_be_allowed(server: Scripted, make: Make, host: str) -> None:
    asked = make(server.port, host=host, allow_local=False)
    assert made_failure(asked) is UNTRUSTED
    assert server.connections == 0


def test_addresses_are_tried_beside_each_other(server: Scripted, make: Make) -> None:
    """The first doesn't answer, the second refuses, the third is the one."""
    server.play(says(ALLOWED))
    lookup = resolving(lambda: ["192.0.2.1", "::1", "127.0.0.1"])
    assert make(server.port, lookup=lookup).preauth() == PreauthAllow()
