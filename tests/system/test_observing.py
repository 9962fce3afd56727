"""What can be seen of it: events, counters, health. (That no secret is among it, oracle B3 sees after each test.)"""

from __future__ import annotations

import datetime
import json
import re
import socket

import pytest

from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, CALLING_STATION_ID, codes
from tests.system.bench.world import World, wait_for
from tests.system.everyday import Everyday

pytestmark = pytest.mark.system

KNOWN = {
    "timestamp",
    "msg",
    "username",
    "auth_stage",
    "status",
    "client_ip",
    "server_section",
    "server_section_ikey",
    "factor",
    "hostname",
}
ADDED = {"login", "decision", "reason", "primary_ms", "cloud_ms", "nas_ip", "fail_open"}


def test_the_events_of_a_login(everyday: Everyday) -> None:
    """The contract, section 7: the known fields keep their meaning, so existing rules work; and ours."""
    user = everyday.user()
    nas = everyday.nas()
    assert codes([nas.ask(user.user, user.password, (CALLING_STATION_ID, b"192.0.2.44"))]) == [ACCESS_ACCEPT]
    (decided,) = everyday.wait_audit(username=user.user, decision="accept")
    events = everyday.audit(username=user.user)
    assert [event["auth_stage"] for event in events] == ["Primary authentication", "Secondary authentication"]
    for event in events:
        assert event.keys() >= KNOWN, KNOWN - event.keys()
        stamp = datetime.datetime.fromisoformat(event["timestamp"])
        assert event["timestamp"].endswith("Z")
        assert abs((datetime.datetime.now(datetime.UTC) - stamp).total_seconds()) < 60
        assert event["status"] == "Allow"
        assert event["client_ip"] == "192.0.2.44"
        assert event["server_section"] == "vpn"
        assert event["server_section_ikey"] == everyday.options(everyday.vpn)["ikey"]
        assert event["hostname"] == socket.gethostname()
    assert decided.keys() >= ADDED, ADDED - decided.keys()
    assert len({event["login"] for event in events}) == 1
    assert (decided["reason"], decided["fail_open"], decided["nas_ip"]) == (
        "both_factors",
        False,
        "127.0.0.1",
    )
    assert decided["factor"] == "push"
    assert 0 < decided["primary_ms"] < 10_000
    assert 0 < decided["cloud_ms"] < 10_000


def test_status_words(everyday: Everyday) -> None:
    """`Reject` for a no; each login has an id of its own."""
    user = everyday.user(answer="deny")
    nas = everyday.nas()
    wrong = everyday.canaries.new("wrong password")
    replies = nas.exchange_all([nas.login(user.user, user.password), nas.login(user.user, wrong)])
    assert codes(replies) == [ACCESS_REJECT] * 2
    events = everyday.wait_audit(2, username=user.user, decision="reject")
    assert {event["status"] for event in events} == {"Reject"}
    assert len({event["login"] for event in events}) == 2


def test_one_line_an_event(everyday: Everyday) -> None:
    """S2: whatever a user calls themselves."""
    nas = everyday.nas()
    names = ["x\\n2026-01-01 Access-Accept", '","decision":"accept', "é" * 120, "%s%n{0}${x}", "a" * 253]
    nas.exchange_all([nas.login(name, everyday.canaries.new("password of nobody")) for name in names])
    path = everyday.home / "log" / "authevents.log"
    for line in path.read_bytes().split(b"\n")[:-1]:
        assert isinstance(json.loads(line), dict)
        assert line.decode("utf-8").isprintable()


def test_metrics(everyday: Everyday) -> None:
    """The contract's names; a decision counts once, and no label holds a user's name."""
    user = everyday.user()
    before = everyday.running.metric(
        "authproxy_decisions_total", section="vpn", decision="accept", reason="both_factors"
    )
    assert codes([everyday.nas().ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    text = everyday.running.get("/metrics").text
    after = everyday.running.metric(
        "authproxy_decisions_total", section="vpn", decision="accept", reason="both_factors"
    )
    assert after == before + 1
    for name in (
        "authproxy_decisions_total",
        "authproxy_fail_open_total",
        "authproxy_pending_logins",
        "authproxy_primary_seconds",
        "authproxy_cloud_seconds",
        "authproxy_radius_discarded_total",
        "authproxy_breaker_open",
        "authproxy_certificate_expiry_seconds",
    ):
        assert name in text, name
    assert user.user not in text
    assert re.search(r'authproxy_pending_logins\{section="vpn"\} 0', text)


def test_health(everyday: Everyday) -> None:
    """The contract, section 6: /livez, and /readyz with each section, its primary and its cloud."""
    user = everyday.user()
    assert codes([everyday.nas().ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    assert everyday.running.get("/livez").status == 200
    ready = everyday.running.get("/readyz")
    assert ready.status == 200
    body = json.loads(ready.body)
    assert "vpn" in json.dumps(body)
    page = everyday.running.get("/")
    assert page.status == 200
    assert "text/html" in page.content_type
    for section in everyday.sections:
        assert section.name in page.text
    assert everyday.running.get("/nowhere").status == 404


def test_not_ready_says_why(world: World) -> None:
    """503 with the reason while the directory is away; alive all the time; ready again by itself."""
    world.config["ad_client"]["timeout"] = 1
    world.add_section()
    user = world.add_user("alice")
    world.start()
    nas = world.nas()
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    world.directory.refuse()
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_REJECT]
    wait_for(lambda: world.running.get("/readyz").status == 503, 20)
    body = world.running.get("/readyz").text
    assert str(world.directory.port) in body or "127.0.0.1" in body
    assert world.running.get("/livez").status == 200
    world.directory.listen()
    wait_for(lambda: codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT], 40)
    wait_for(lambda: world.running.get("/readyz").status == 200, 20)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.0\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\0" * 5000,
    ],
)
def test_bad_input_at_the_endpoint(everyday: Everyday, octets: bytes) -> None:
    """It answers or hangs up, and logins go on."""
    with socket.create_connection(("127.0.0.1", everyday.admin), 5) as raw:
        raw.settimeout(0.3)
        raw.sendall(octets)
        try:
            answer = raw.recv(65536)
        except (TimeoutError, ConnectionError):
            answer = b""
    assert b"root:" not in answer
    assert b"Traceback" not in answer
    user = everyday.user()
    assert codes([everyday.nas().ask(user.user, user.password)]) == [ACCESS_ACCEPT]


def test_debug_log_holds_no_secrets(world: World) -> None:
    """S1 at the most talkative level, with everything going wrong once. (The oracle reads it.)"""
    world.config["main"] |= {"debug": True, "log_stdout": True, "log_format": "json"}
    passcode = world.canaries.passcode("passcode")
    world.add_section(failmode="safe", api_timeout=2)
    user = world.add_user("alice", passcodes={passcode})
    world.start()
    nas = world.nas()
    wrong = world.canaries.new("wrong password")
    requests = [
        nas.login(user.user, typed) for typed in (f"{user.password},{passcode}", user.password, wrong)
    ]
    assert codes(nas.exchange_all(requests)) == [ACCESS_ACCEPT, ACCESS_ACCEPT, ACCESS_REJECT]
    world.cloud.become("refused")
    nas.exchange_all([nas.login(user.user, f"{user.password},{world.canaries.passcode('another passcode')}")])
    world.directory.refuse()
    nas.exchange_all([nas.login(user.user, user.password)])
    assert nas.silent(b"noise " + user.password.encode(), 0.1)
    for line in world.running.stdout.text.splitlines():
        json.loads(line)
