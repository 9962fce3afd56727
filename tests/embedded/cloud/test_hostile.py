"""What must change nothing: forgeries, stale dates, unknown keys, and whatever else can be put into a field."""

from __future__ import annotations

import base64
import email.utils
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authproxy.embedded.cloud.model import DeviceKind
from authproxy.protocols.cloud.signing import Signer, canonical_params
from authproxy.secret import Secret

from .running import Running


class Caller:
    """Signs v5 itself, and then may send something else than what it signed."""

    def __init__(self, cloud: Running, credentials: tuple[str, str]) -> None:
        self._cloud = cloud
        self.ikey, self.skey = credentials
        self._connection: http.client.HTTPSConnection | None = None

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: str = "",
        date: str | None = None,
        host: str = "localhost",
        content_type: str = "application/json",
        changed: Mapping[str, Any] | None = None,
    ) -> tuple[int, Any]:
        """(HTTP status, decoded body). `changed` replaces method, target, body or headers after signing."""
        date = email.utils.formatdate(self._cloud.clock()) if date is None else date
        signer = Signer(self.ikey, Secret.of(self.skey), host)
        params = canonical_params([tuple(pair.split("=", 1)) for pair in query.split("&") if pair])  # type: ignore[misc]
        headers = {
            "Authorization": signer.authorization(
                date=date, method=method, path=path, params=params, body=body
            ),
            "Date": date,
            "Content-Type": content_type,
        }
        if not date:
            del headers["Date"]
        sent: dict[str, Any] = {
            "method": method,
            "url": f"{path}?{query}" if query else path,
            "body": body or None,
            "headers": headers,
        }
        for name, value in (changed or {}).items():
            sent[name] = sent[name] | value if name == "headers" else value
        if self._connection is None:
            self._connection = self._cloud.https()
        self._connection.request(**sent)
        response = self._connection.getresponse()
        octets = response.read()
        if not octets:
            self._connection = None  # refused before it was read as a request
            return response.status, None
        return response.status, json.loads(octets)

    def post(self, path: str, sent: Any, **more: Any) -> tuple[int, Any]:
        return self.call("POST", path, json.dumps(sent).encode(), **more)


@pytest.fixture
def caller(cloud: Running) -> Caller:
    cloud.user()
    return Caller(cloud, cloud.application())


def counts(cloud: Running) -> dict[str, int]:
    """How many rows there are of what calls can make."""
    tables = ("user", "device", "login", "code", "activation", "application", "remembered", "outbox")

    def count() -> dict[str, int]:
        return {table: cloud.store.database.value(f"SELECT COUNT(*) FROM {table}") for table in tables}

    found: dict[str, int] = cloud.run(count)
    return found


PUSH = {"username": "alice", "factor": "push", "device": "auto", "async": "1"}


def test_what_is_right_goes_through(caller: Caller) -> None:
    status, told = caller.post("/auth/v2/auth", PUSH)
    assert (status, told["stat"]) == (200, "OK")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"skey": "0" * 40}, 40103),
        ({"ikey": "DIXXXXXXXXXXXXXXXXXX"}, 40102),
        ({"changed": {"body": json.dumps(PUSH | {"username": "bob"}).encode()}}, 40103),
        ({"changed": {"method": "PUT"}}, 40401),
        ({"changed": {"url": "/auth/v2/preauth"}}, 40103),
        ({"changed": {"url": "/auth/v2/auth?device=x"}}, 40103),
        ({"changed": {"headers": {"X-Duo-Other": "added"}}}, 40103),
        ({"changed": {"headers": {"Date": email.utils.formatdate(time.time() - 5)}}}, 40103),
        ({"changed": {"headers": {"X-Duo-Date": email.utils.formatdate(time.time() - 5)}}}, 40103),
        ({"host": "other.example"}, 40103),
        ({"date": ""}, 40104),
        ({"date": "yesterday"}, 40105),
        ({"off": -310}, 40105),
        ({"off": 310}, 40105),
        ({"changed": {"headers": {"Authorization": "Bearer x"}}}, 40101),
        ({"changed": {"headers": {"Authorization": "Basic !"}}}, 40101),
        ({"changed": {"headers": {"Authorization": "Basic " + base64.b64encode(b"x").decode()}}}, 40101),
        ({"changed": {"headers": {"Authorization": "Basic " + base64.b64encode(b"x:").decode()}}}, 40102),
    ],
)
def test_forgeries(cloud: Running, caller: Caller, wrong: dict[str, Any], code: int) -> None:
    before = counts(cloud)
    for name in ("skey", "ikey"):
        if name in wrong:
            setattr(caller, name, wrong.pop(name))
    if "off" in wrong:
        wrong = {"date": email.utils.formatdate(time.time() + wrong["off"])}
    status, told = caller.post("/auth/v2/auth", PUSH, **wrong)
    assert (status, told["stat"], told["code"]) == (code // 100, "FAIL", code)
    assert told["message"]
    assert counts(cloud) == before


def test_the_same_signature_again_is_no_forgery(caller: Caller) -> None:
    date = email.utils.formatdate(time.time())
    for _ in range(2):
        assert caller.call("GET", "/auth/v2/check", date=date)[0] == 200


def test_absolute_targets(cloud: Running, caller: Caller) -> None:
    status, _ = caller.call(
        "GET", "/auth/v2/check", changed={"url": f"https://localhost:{cloud.port}/auth/v2/check"}
    )
    assert status == 200
    status, told = caller.call("GET", "/auth/v2/check", changed={"url": "https://evil.example/auth/v2/check"})
    assert (status, told["code"]) == (401, 40103)


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({}, "username"),
        ({"username": "alice", "user_id": "DU"}, "username"),
        ({"user_id": "DUXXXXXXXXXXXXXXXXXX"}, "user_id"),
        ({"username": "a" * 10_240}, "username"),
        ({"username": "a\0b"}, "username"),
        ({"username": "a\u202eb"}, "username"),
        ({"username": "   "}, "username"),
        ({"username": ["alice"]}, "username"),
        ({"username": {"$ne": ""}}, "username"),
        ({"username": 1.5}, "username"),
        ({"username": "alice", "ipaddr": "x" * 65}, "ipaddr"),
        ({"username": "alice", "hostname": "x" * 256}, "hostname"),
    ],
)
def test_preauth_with_what_cannot_be(cloud: Running, caller: Caller, sent: Any, detail: str) -> None:
    before = counts(cloud)
    status, told = caller.post("/auth/v2/preauth", sent)
    assert status == 400
    assert told["code"] in (40001, 40002)
    assert told["message_detail"] == detail
    assert counts(cloud) == before


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({"username": "alice"}, "factor"),
        ({"username": "alice", "factor": "magic"}, "factor"),
        ({"username": "alice", "factor": "push"}, "device"),
        ({"username": "alice", "factor": "push", "device": "DPXXXXXXXXXXXXXXXXXX"}, "device"),
        ({"username": "alice", "factor": "phone", "device": "auto"}, "no capable device"),
        ({"username": "alice", "factor": "passcode"}, "passcode"),
        ({"username": "nobody", "factor": "push", "device": "auto"}, "username"),
        (PUSH | {"pushinfo": "x" * 20_001}, "pushinfo"),
        (PUSH | {"type": "x" * 65}, "type"),
    ],
)
def test_auth_with_what_cannot_be(cloud: Running, caller: Caller, sent: Any, detail: str) -> None:
    before = counts(cloud)
    status, told = caller.post("/auth/v2/auth", sent)
    assert (status, told["message_detail"]) == (400, detail)
    assert counts(cloud) == before


@pytest.mark.parametrize(
    "body", [b"[]", b'"alice"', b"null", b"7", b"{", b"\xff", b"[" * 20_000, b'{"a":' * 9000]
)
def test_bodies_that_are_no_object(cloud: Running, caller: Caller, body: bytes) -> None:
    before = counts(cloud)
    status, told = caller.call("POST", "/auth/v2/preauth", body)
    assert (status, told["code"]) == (400, 40002)
    assert counts(cloud) == before


def test_other_content_types(caller: Caller) -> None:
    status, told = caller.call("POST", "/auth/v2/preauth", b"<x/>", content_type="text/xml")
    assert (status, told["code"]) == (401, 40106)


def test_a_body_that_is_too_large(cloud: Running, caller: Caller) -> None:
    before = counts(cloud)
    status, told = caller.post("/auth/v2/auth", PUSH | {"pushinfo": "x" * 200_000})
    assert (status, told["code"]) == (400, 40002)
    assert counts(cloud) == before
    with pytest.raises((ConnectionError, ssl.SSLError, http.client.HTTPException)):
        caller.post("/auth/v2/auth", PUSH | {"pushinfo": "x" * 4_000_000})
    assert Caller(cloud, (caller.ikey, caller.skey)).call("GET", "/auth/v2/check")[0] == 200


@pytest.mark.parametrize("length", [17_000, 40_000, 100_000])
def test_a_head_that_is_too_large(cloud: Running, caller: Caller, length: int) -> None:
    """Told at once, or cut off; nobody is left waiting, and nothing of it is kept."""
    connection = http.client.HTTPSConnection("localhost", cloud.port, context=cloud.context(), timeout=10)
    try:
        connection.request("GET", "/auth/v2/check?x=" + "x" * length)
        assert connection.getresponse().status in {400, 431}
    except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
        assert length > 20_000
    finally:
        connection.close()
    assert caller.call("GET", "/auth/v2/check")[0] == 200


def test_paths_that_are_not(caller: Caller) -> None:
    for method, path in (
        ("GET", "/auth/v2/nothing"),
        ("GET", "/auth/v2/preauth"),
        ("POST", "/auth/v2/ping"),
        ("GET", "/auth/v2/../v2/check"),
        ("GET", "/rest/v1/check"),
        ("GET", "/auth/v2/check/"),
    ):
        status, told = caller.call(method, path)
        assert (status, told["code"]) == (404, 40401), path


NASTY = [
    "'; DROP TABLE user; --",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{7*7}}{% raw %}",
    "%0d%0aSet-Cookie:x=y",
    "../../etc/passwd",
    "Größe 例え 😀",
]


@pytest.mark.parametrize("text", NASTY)
def test_markup_and_sql_in_every_field_is_text(cloud: Running, caller: Caller, text: str) -> None:
    def make() -> tuple[str, str]:
        user = cloud.store.users.add(text.lower())
        device = cloud.store.devices.add(user.user_id, DeviceKind.PHONE, name=text, number=text)
        return device.device_id, cloud.store.devices.give_page(device.device_id).reveal().decode()

    device_id, token = cloud.run(make)
    status, told = caller.post("/auth/v2/preauth", {"username": text})
    assert (status, told["response"]["devices"][0]["name"]) == (200, text)
    sent = {
        "username": text, "factor": "push", "device": device_id, "async": "1", "type": text, "hostname": text,
        "ipaddr": text, "display_username": text, "pushinfo": f"a={text}&{text}=b",
    }  # fmt: skip
    status, told = caller.post("/auth/v2/auth", sent)
    assert status == 200, told
    page = http.client.HTTPConnection("localhost", cloud.pages, timeout=10)
    page.request("GET", "/", headers={"Cookie": f"phone={token}"})
    html = page.getresponse().read().decode()
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "49" not in html.split("<dl", 1)[1].split("</dl>")[0]
    for path in ("/passcodes", "/authenticator"):
        page.request("GET", path, headers={"Cookie": f"phone={token}"})
        assert "<script>alert" not in page.getresponse().read().decode()
    assert counts(cloud)["user"] == 2


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["username", "user_id", "factor", "device", "passcode", "async", "txid", "prompt", "text_prompt", "pushinfo",
     "type", "ipaddr", "hostname", "valid_secs", "bypass_codes", "activation_code", "trusted_device_token",
     "display_username", "client_supports_verified_push", "failmode", "user", "auto", "code", "phone"]
)  # fmt: skip
SENSIBLE = st.sampled_from(
    ["alice", "auto", "push", "passcode", "sms", "phone", "prompt", "1", "push1", "123456"]
)
HEADS = [b"", b"GET / HTTP/1.1\r\n", b"POST /auth/v2/auth HTTP/1.1\r\n"]
PATHS = st.sampled_from(
    [f"/auth/v2/{name}" for name in ("preauth", "auth", "enroll", "enroll_status")]
    + ["/rest/v1/preauth", "/rest/v1/auth"]
)
HOSTILE = st.sampled_from([*NASTY, "x" * 10_000, "ü" * 5_000, "\0", "\ud800", "-1", "9" * 400, " ", "\r\n"])


@pytest.fixture(scope="module")
def lasting(
    reactor_thread: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, Caller]]:
    from authproxy.embedded.cloud.outcomes import Limits

    limits = Limits(push_life=0.01, call_life=0.01, per_minute=10**6)
    running = Running(reactor_thread, tmp_path_factory.mktemp("cloud"), hold=0.05, limits=limits, legacy=True)
    running.user(number="+49 151 2345678")
    yield running, Caller(running, running.application())
    running.stop()
    assert running.log.bugs == []


def expect_an_envelope(running: Running, before: dict[str, int], status: int, told: Any) -> None:
    """The API's own words; and whatever was refused has changed nothing."""
    if told is None:
        assert status in {400, 431}
        assert counts(running) == before
    elif told["stat"] == "OK":
        assert status == 200
        assert "response" in told
    else:
        assert told["stat"] == "FAIL"
        assert told["message"]
        assert status == told["code"] // 100 < 500
        assert counts(running) == before
    assert running.log.bugs == []


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=PATHS, sent=st.dictionaries(NAMES, JSON_VALUES | SENSIBLE | HOSTILE, max_size=6))
def test_anything_signed_gets_an_envelope(lasting: tuple[Running, Caller], path: str, sent: Any) -> None:
    running, caller = lasting
    before = counts(running)
    expect_an_envelope(running, before, *caller.post(path, sent))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=PATHS, body=st.binary(max_size=60) | st.text(max_size=40).map(str.encode), form=st.booleans())
def test_any_signed_octets_get_an_envelope(
    lasting: tuple[Running, Caller], path: str, body: bytes, form: bool
) -> None:
    running, caller = lasting
    before = counts(running)
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    expect_an_envelope(running, before, *caller.call("POST", path, body, content_type=kind))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(["/auth/v2/check", "/auth/v2/auth_status", "/rest/v1/check", "/rest/v1/status"]),
    sent=st.dictionaries(
        NAMES, st.text(max_size=20) | SENSIBLE | HOSTILE.filter(str.isprintable), max_size=4
    ),
)
def test_any_signed_question_gets_an_envelope(
    lasting: tuple[Running, Caller], path: str, sent: dict[str, str]
) -> None:
    running, caller = lasting
    before = counts(running)
    expect_an_envelope(running, before, *caller.call("GET", path, query=canonical_params(sent.items())))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=PATHS,
    sent=st.fixed_dictionaries({"username": SENSIBLE, "factor": SENSIBLE, "device": SENSIBLE}),
    authorization=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
    | st.tuples(st.text(max_size=30), st.text("0123456789abcdef", min_size=128, max_size=128)).map(
        lambda pair: "Basic " + base64.b64encode(":".join(pair).encode()).decode()
    ),
)
def test_whoever_cannot_sign_changes_nothing(
    lasting: tuple[Running, Caller], path: str, sent: Any, authorization: str
) -> None:
    running, caller = lasting
    before = counts(running)
    changed = {"headers": {"Authorization": authorization}}
    status, told = caller.post(path, sent, changed=changed)
    assert (status, told["code"]) in {(401, 40101), (401, 40102), (401, 40103)}
    assert counts(running) == before


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    octets=st.binary(max_size=200),
    head=st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"POST /auth/v2/auth HTTP/1.1\r\n"]),
)
def test_any_octets_on_the_page_port(lasting: tuple[Running, Caller], octets: bytes, head: bytes) -> None:
    running, _ = lasting
    with socket.create_connection(("127.0.0.1", running.pages), timeout=10) as peer:
        peer.sendall(head + octets)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4096):
            pass
    assert running.log.bugs == []


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"], []])
def test_what_browsers_offer_before_they_speak(cloud: Running, offered: list[str]) -> None:
    """ALPN (RFC 7301): a handshake that fails there is a page that nobody can open."""
    context = cloud.context()
    if offered:
        context.set_alpn_protocols(offered)
    with (
        socket.create_connection(("127.0.0.1", cloud.port), timeout=10) as peer,
        context.wrap_socket(peer, server_hostname="localhost") as secure,
    ):
        assert secure.selected_alpn_protocol() == ("http/1.1" if offered else None)


def test_the_api_is_not_on_the_plain_port(cloud: Running) -> None:
    page = http.client.HTTPConnection("localhost", cloud.pages, timeout=10)
    page.request("GET", "/auth/v2/ping")
    assert page.getresponse().status == 404
