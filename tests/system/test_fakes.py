"""The fakes themselves: strict peers that take what is right and turn away what is not."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
from duo_client import Auth

from tests.system.bench import signing, wire
from tests.system.bench.cloud import Cloud, User, phone
from tests.system.bench.directory import BASE, Directory
from tests.system.bench.http1 import BadRequest, HttpRequest, read_head
from tests.system.bench.journal import CloudRefused, CloudVerdict, Journal, PrimaryBind, PrimaryRefused
from tests.system.bench.loop import Fault, Loop
from tests.system.bench.pki import Authority

IKEY, SKEY = "DIXXXXXXXXXXXXXXXXXX", "deadbeef" * 5


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def cloud(loop: Loop, journal: Journal, authority: Authority) -> Cloud:
    made = Cloud(loop, journal, authority.context("localhost"), host="localhost", keys={IKEY: SKEY})
    made.users["alice"] = User(passcodes={"123456"}, devices=[phone()])
    return made


@pytest.fixture
def client(cloud: Cloud, authority: Authority) -> Auth:
    return Auth(IKEY, SKEY, "localhost", port=cloud.port, ca_certs=str(authority.ca), timeout=5)


# ---- the cloud


VECTORS = [
    (
        HttpRequest("GET", "/auth/v2/check", {}, b""),
        "2ac1359b37aa427e9dbee4016927028787cc6eb6da3ad472529a43a7a1c32e89"
        "c86654567e7782ff03ca3df02c72070681e31e29f80be65dddf0c29791ef9d65",
    ),
    (
        HttpRequest("POST", "/auth/v2/preauth", {}, b'{"ipaddr":"10.2.3.4","username":"narroway"}'),
        "1d7c1a5d15986c1fb46af51e6bd34fbc6359e814ae0bf0a156ffb8054df69b6f"
        "1f771fc2c28f99794df1016a9057c8f768382f43a63816974b416cc818bd37b2",
    ),
    (
        HttpRequest("GET", "/auth/v2/auth_status?txid=45f7c92b-f45f-4862-8545-e0f58e78075a", {}, b""),
        "c3d2c91eaba8d1e9641cfd6f038249dd25b3922b408c6785394431bb5530572c"
        "4c1f91f1c6a3fc4b6b646d48b1bc92d8e370b1a8073e4cc467c49b44e66f97e5",
    ),
    (
        HttpRequest("POST", "/auth/v2/enroll", {}, b"{}"),
        "6d277aff5e4f25978e1b7f31d53cfdf10028122d770cfa36fb3029ecdc211ef5"
        "ee4ccff8c3b0f7d13ba536d834d67f6aec1efa6c96466f54897308a723df9100",
    ),
]


@pytest.mark.parametrize(("request_", "expected"), VECTORS)
def test_signature_vectors(request_: HttpRequest, expected: str) -> None:
    date, host = "Tue, 21 Aug 2012 17:29:18 -0000", "API-XXXXXXXX.duosecurity.com"
    assert signing.signature(request_, host, date, SKEY) == expected


def test_a_known_client_logs_in(client: Auth, journal: Journal) -> None:
    """duo_client is somebody else's reading of the same API."""
    assert client.check()["time"]
    assert client.preauth(username="alice")["result"] == "auth"
    assert client.auth("push", username="alice", device="auto")["result"] == "allow"
    verdicts = [(verdict.endpoint, verdict.result) for verdict in journal.all(CloudVerdict)]
    assert verdicts == [("preauth", "auth"), ("auth", "allow")]
    assert not journal.all(CloudRefused)


def test_a_push_waits_for_the_test(client: Auth, cloud: Cloud, journal: Journal) -> None:
    cloud.users["alice"].answer = None
    txid = client.auth("push", username="alice", device="DPHONE", async_txn=True)["txid"]
    assert client.auth_status(txid)["waiting"]
    assert cloud.decide("alice", "deny") == 1
    assert client.auth_status(txid)["success"] is False
    (verdict,) = journal.all(CloudVerdict)
    assert (verdict.user, verdict.result, verdict.txid) == ("alice", "deny", txid)


def test_a_passcode_is_good_once(client: Auth) -> None:
    results = [client.auth("passcode", username="alice", passcode="123456")["result"] for _ in range(2)]
    assert results == ["allow", "deny"]


def test_what_a_fault_hides_is_no_verdict(client: Auth, cloud: Cloud, journal: Journal) -> None:
    cloud.break_("preauth", Fault(keep=40))
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the client makes of half an answer
        client.preauth(username="alice")
    assert not journal.all(CloudVerdict)


@pytest.mark.parametrize(
    ("ikey", "skey", "code"), [("DIYYYYYYYYYYYYYYYYYY", SKEY, 40102), (IKEY, "f" * 40, 40103)]
)
def test_wrong_keys(
    cloud: Cloud, authority: Authority, journal: Journal, ikey: str, skey: str, code: int
) -> None:
    client = Auth(ikey, skey, "localhost", port=cloud.port, ca_certs=str(authority.ca), timeout=5)
    with pytest.raises(RuntimeError, match="401"):
        client.check()
    assert len(journal.all(CloudRefused)) == 1


def test_a_wrong_clock(client: Auth, cloud: Cloud, journal: Journal) -> None:
    cloud.skew = 400
    with pytest.raises(RuntimeError, match="401"):
        client.check()
    assert journal.all(CloudRefused)


@pytest.mark.parametrize(
    "call",
    [
        {"factor": "passcode", "username": "alice"},
        {"factor": "push", "username": "alice"},
        {"factor": "push", "username": "alice", "device": "DOTHER"},
        {"factor": "carrier pigeon", "username": "alice", "device": "auto"},
        {"factor": "passcode", "username": "nobody", "passcode": "1"},
        {"factor": "push", "username": "alice", "device": "auto", "ipaddr": "01-02-03-04-05-06"},
    ],
)
def test_calls_that_a_careful_client_does_not_make(
    client: Auth, journal: Journal, call: dict[str, str]
) -> None:
    with pytest.raises(RuntimeError, match="400"):
        client.auth(**call)
    assert journal.all(CloudRefused)


@pytest.mark.parametrize(
    "head",
    [
        "GET https://localhost/auth/v2/ping HTTP/1.1\r\nHost: localhost",
        "GET /auth/v2/ping HTTP/1.0\r\nHost: localhost",
        "GET /auth/v2/ping HTTP/1.1",
        "GET /auth/v2/ping HTTP/1.1\r\nHost: localhost\r\nHost: other",
        "GET /auth/v2/ping HTTP/1.1\r\nHost : localhost",
        "GET /auth/v2/ping?a b HTTP/1.1\r\nHost: localhost",
    ],
)
def test_requests_that_are_not_http(head: str) -> None:
    with pytest.raises(BadRequest):
        read_head(head)


def test_another_host_is_not_this_service(cloud: Cloud, authority: Authority, journal: Journal) -> None:
    context = ssl.create_default_context(cafile=str(authority.ca))
    with (
        socket.create_connection(("127.0.0.1", cloud.port)) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"GET /auth/v2/ping HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        assert b"40103" in tls.recv(4096)
    assert "api.example.com" in journal.all(CloudRefused)[0].why


# ---- the directory


@pytest.fixture
def directory(loop: Loop, journal: Journal) -> Directory:
    made = Directory(loop, journal)
    made.add("svc", "service password")
    made.add("alice", "right")
    return made


def connect(directory: Directory, user: str, password: str) -> ldap3.Connection:
    server = ldap3.Server(directory.address, directory.port, get_info=ldap3.NONE)
    connection = ldap3.Connection(server, user, password, auto_referrals=False)
    connection.bind()
    return connection


def test_a_known_client_binds_and_searches(directory: Directory, journal: Journal) -> None:
    """ldap3 is somebody else's reading of the same protocol."""
    connection = connect(directory, f"CN=svc,OU=People,{BASE}", "service password")
    connection.search(BASE, "(&(objectClass=user)(sAMAccountName=ALICE))", attributes=["mail", "cn"])
    (entry,) = connection.entries
    assert (entry.entry_dn, entry.cn.value) == (f"CN=alice,OU=People,{BASE}", "alice")
    assert connect(directory, "CORP\\alice", "right").result["result"] == 0
    assert connect(directory, "alice@corp.test", "wrong").result["result"] == 49
    binds = [(bind.user, bind.result) for bind in journal.all(PrimaryBind)]
    assert binds == [("svc", 0), ("alice", 0), ("alice", 49)]


def test_nobody_searches_before_a_bind(directory: Directory) -> None:
    connection = connect(directory, f"CN=svc,OU=People,{BASE}", "wrong")
    connection.search(BASE, "(cn=*)")
    assert connection.result["result"] == 1


def test_a_base_ends_at_a_name_of_its_own(directory: Directory) -> None:
    directory.add("mallory", "x", dn=f"CN=mallory,OU=People,DC=NOT{BASE.removeprefix('DC=')}")
    connection = connect(directory, f"CN=svc,OU=People,{BASE}", "service password")
    connection.search(BASE, "(cn=mallory)")
    assert connection.entries == []


def test_size_limit(directory: Directory) -> None:
    connection = connect(directory, f"CN=svc,OU=People,{BASE}", "service password")
    connection.search(BASE, "(cn=*)", size_limit=1)
    assert (connection.result["result"], len(connection.entries)) == (4, 1)


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x30\x80", b"\x30\x85\1\1\1\1\1", b"\x30\x08\x02\x01\x01\x60\x50\0\0\0",
     b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x02\x04\x00\x80\x00", b"\x30\x05\x02\x01\x00\x42\x00"],
)  # fmt: skip
def test_what_is_not_ldap(directory: Directory, journal: Journal, octets: bytes) -> None:
    with socket.create_connection((directory.address, directory.port), 5) as raw:
        raw.sendall(octets)
        raw.shutdown(socket.SHUT_WR)
        raw.settimeout(5)
        assert raw.recv(100) == b""
    assert len(journal.all(PrimaryRefused)) == 1


# ---- the NAS's reading of replies


SECRET = b"a shared secret of ours"
ASKED = wire.access_request("alice", "right", SECRET, (wire.PROXY_STATE, b"one"), (wire.PROXY_STATE, b"two"))


def reply(
    *attributes: tuple[int, bytes], code: int = 2, secret: bytes = SECRET, asked: wire.Request = ASKED
) -> bytes:
    body = b"".join(wire.attribute(*pair) for pair in attributes)
    octets = wire.packet(code, asked.identifier, asked.authenticator, body)
    if any(kind == wire.MESSAGE_AUTHENTICATOR for kind, _ in attributes):
        octets = wire.sign(octets, secret)
    return octets[:4] + wire.md5(octets[:4], asked.authenticator, octets[20:], secret) + octets[20:]


SIGNED = (wire.MESSAGE_AUTHENTICATOR, bytes(16))
STATES = ((wire.PROXY_STATE, b"one"), (wire.PROXY_STATE, b"two"))


def read(octets: bytes) -> wire.Reply:
    return wire.read_reply(octets, ("127.0.0.1", 1812), ASKED, SECRET)


def test_a_reply_in_order() -> None:
    assert read(reply(SIGNED, (wire.REPLY_MESSAGE, "Grüße".encode()), *STATES)).message == "Grüße"


@pytest.mark.parametrize(
    "octets",
    [
        reply(*STATES),
        reply(*STATES, SIGNED),
        reply(SIGNED, *STATES, secret=b"another secret"),
        reply(SIGNED, *STATES)[:-1],
        reply(SIGNED, *STATES) + b"\0",
        reply(SIGNED, STATES[1], STATES[0]),
        reply(SIGNED, STATES[0]),
        reply(SIGNED),
        reply(SIGNED, SIGNED, *STATES),
        reply(SIGNED, (25, b"class"), *STATES, code=3),
        reply(SIGNED, (wire.REPLY_MESSAGE, b"two\r\nlines"), *STATES),
        reply(SIGNED, (wire.REPLY_MESSAGE, b""), *STATES),
    ],
    ids=["no Message-Authenticator", "not first", "other secret", "short", "long", "reordered", "one missing",
         "none", "two Message-Authenticators", "class in a Reject", "controls", "empty message"],
)  # fmt: skip
def test_replies_that_a_strict_nas_drops(octets: bytes) -> None:
    with pytest.raises(AssertionError):
        read(octets)
