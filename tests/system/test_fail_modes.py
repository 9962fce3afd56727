"""When the cloud fails: each class, at each stage of a login, in a safe and a secure section of one daemon at once.

Every case has a cloud of its own, on an address of its own, so that all of them fail at the same time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.bench.cloud import Cloud, failed, ok, status
from tests.system.bench.http1 import response
from tests.system.bench.journal import CloudRequest
from tests.system.bench.loop import Fault
from tests.system.bench.oracles import AuditEvent, Section
from tests.system.bench.pki import Authority
from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    ACCESS_CHALLENGE,
    ACCESS_REJECT,
    CALLING_STATION_ID,
    STATE,
    codes,
)
from tests.system.bench.world import Login, World, wait_for

pytestmark = pytest.mark.system

Break = Callable[[Cloud, Authority], None]


@dataclass(frozen=True)
class Case:
    """`cause`: the failure class; `safe`: what a safe section decides, the reason of it; `secure`: likewise."""

    break_: Break
    cause: str
    safe: str
    secure: str = ""


def becomes(mode: Any) -> Break:
    return lambda cloud, _: cloud.become(mode)


def shows(name: str, **more: Any) -> Break:
    """Another certificate: another name's, or an expired one."""
    return lambda cloud, authority: cloud.become("other", authority.context(name, **more))


def shows_another_authority(cloud: Cloud, authority: Authority) -> None:
    cloud.become("other", Authority(authority.folder / "other", "Another CA").context(cloud.host))


def says(octets: bytes, endpoint: str = "*") -> Break:
    return lambda cloud, _: cloud.break_(endpoint, Fault(octets=octets))


def does(endpoint: str = "*", **fault: Any) -> Break:
    return lambda cloud, _: cloud.break_(endpoint, Fault(**fault))


def gateway(code: int, endpoint: str = "*", times: int = 1 << 30) -> Break:
    octets = status(code).octets
    return lambda cloud, _: cloud.break_(endpoint, Fault(times=times, octets=octets))


def nobody_answers(cloud: Cloud, _: Authority) -> None:
    """The pushes wait, until the test ends the service."""
    for user in cloud.users.values():
        user.answer = None


def opens(break_: Break, cause: str) -> Case:
    return Case(break_, cause, "fail_open", "fail_closed")


def shut(break_: Break, cause: str) -> Case:
    """A class that never opens."""
    return Case(break_, cause, "cloud_refused", "cloud_refused")


def closed(break_: Break, cause: str) -> Case:
    """A class that opens, at a place where nothing does."""
    return Case(break_, cause, "fail_closed", "fail_closed")


LIE = {"result": "allow", "status": "allow", "status_msg": "Success."}
ALLOW = json.dumps({"stat": "OK", "response": LIE}).encode()
DEEP = b'{"stat":"OK","response":' + b"[" * 5000 + b"]" * 5000 + b"}"

# Before preauth has answered: the one place where a door may open.
BEFORE = {
    "nothing listens": opens(becomes("refused"), "unreachable"),
    "silence instead of TLS": opens(becomes("mute"), "unreachable"),
    "a reset instead of TLS": opens(becomes("hang_up"), "unreachable"),
    "a reset instead of an answer": opens(does(reset=True), "unreachable"),
    "an end instead of an answer": opens(does(close=True), "unreachable"),
    "silence instead of an answer": opens(does(silent=True), "unreachable"),
    "500": opens(gateway(500), "server_error"),
    "502": opens(gateway(502), "server_error"),
    "503": opens(gateway(503), "server_error"),
    "504": opens(gateway(504), "server_error"),
    "500 with a code": opens(says(failed(50001, "Unknown internal server error")), "server_error"),
    "no TLS on the port": shut(becomes("plain"), "untrusted"),
    "another name": shut(shows("other.test"), "untrusted"),
    "expired": shut(lambda cloud, authority: shows(cloud.host, expired=True)(cloud, authority), "untrusted"),
    "another authority": shut(shows_another_authority, "untrusted"),
    "a TLS alert": shut(becomes("alert"), "untrusted"),
    "401, wrong keys": shut(says(failed(40103, "Invalid signature in request credentials")), "credential"),
    "401, HTML": shut(gateway(401), "credential"),
    "403": shut(says(failed(40301, "Access forbidden")), "credential"),
    "400": shut(says(failed(40002, "Invalid request parameters")), "request"),
    "404": shut(says(failed(40401, "Resource not found")), "request"),
    "405": shut(gateway(405), "request"),
    "a redirect": shut(says(response(302, b"", "Location: https://localhost/")), "request"),
    "204": shut(says(response(204, b"")), "request"),
    "429": shut(says(failed(42901, "Too Many Requests")), "overload"),
    "429, later": shut(says(failed(42901, "Too Many Requests", "Retry-After: 30")), "overload"),
    "not JSON": shut(says(response(200, b"<html>Sign in to the hotel's network</html>")), "protocol"),
    "an empty body": shut(says(response(200, b"")), "protocol"),
    "no object": shut(says(response(200, b'"allow"')), "protocol"),
    "null": shut(says(response(200, b"null")), "protocol"),
    "nested too deep": shut(says(response(200, DEEP)), "protocol"),
    "200 with FAIL": shut(says(response(200, {"stat": "FAIL", "code": 50000})), "protocol"),
    "no stat": shut(says(response(200, {"response": LIE})), "protocol"),
    "an unknown stat": shut(says(response(200, {"stat": "ok", "response": LIE})), "protocol"),
    "an unknown result": shut(says(ok({"result": "permit"})), "protocol"),
    "a result of another type": shut(says(ok({"result": ["allow"]})), "protocol"),
    "no result": shut(says(ok({"status": "allow"})), "protocol"),
    "cut short": shut(does(keep=150), "protocol"),
    "stalls": shut(does(stall=150), "protocol"),
    "stalls inside the head": shut(does(stall=30), "protocol"),
    "drips": shut(does(drip=0.2), "protocol"),
    "300 KiB": shut(says(ok({"result": "allow", "padding": "x" * 300_000})), "protocol"),
    "a head without an end": shut(says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000), "protocol"),
    "not HTTP": shut(says(b"SSH-2.0-OpenSSH_9.2\r\n" * 3), "protocol"),
    "more than was announced": shut(says(response(200, ALLOW)[:-5]), "protocol"),
    "the wrong time": shut(says(failed(40105, "Bad request timestamp")), "skew"),
}
# Only preauth is broken: the independent probe says that the cloud is there (F4).
DISAGREES = {
    "500 in preauth": closed(gateway(500, "preauth"), "server_error"),
    "silence in preauth": closed(does("preauth", silent=True), "unreachable"),
    "a reset in preauth": closed(does("preauth", reset=True), "unreachable"),
    "an end in preauth": closed(does("preauth", close=True), "unreachable"),
}
# Preauth has answered `auth`: a factor counts as asked for.
AT_AUTH = {
    "a reset in auth": closed(does("auth", reset=True), "unreachable"),
    "an end in auth": closed(does("auth", close=True), "unreachable"),
    "silence in auth": closed(does("auth", silent=True), "unreachable"),
    "500 in auth": closed(gateway(500, "auth"), "server_error"),
    "401 in auth": shut(says(failed(40103, "Invalid signature"), "auth"), "credential"),
    "429 in auth": shut(says(failed(42901, "Too Many Requests"), "auth"), "overload"),
    "junk in auth": shut(says(response(200, b"<html>"), "auth"), "protocol"),
    "cut short in auth": shut(does("auth", keep=150), "protocol"),
    "no transaction in auth": shut(says(ok({}), "auth"), "protocol"),
}
GONE = "the cloud is gone while polling"
# The push is on the phone. The user would say yes, if only they were heard.
WHILE_POLLING = {
    "a reset while polling": closed(does("auth_status", reset=True), "unreachable"),
    # A poll that is held, to the end of the push's life, is a user who doesn't answer.
    "silence while polling": Case(
        does("auth_status", silent=True), "timeout", "factor_timeout", "factor_timeout"
    ),
    GONE: closed(nobody_answers, "unreachable"),
    "503 while polling": closed(gateway(503, "auth_status"), "server_error"),
    "400 while polling": shut(says(failed(40002, "Invalid request parameters"), "auth_status"), "request"),
    "401 while polling": shut(says(failed(40102, "Invalid integration key"), "auth_status"), "credential"),
    "junk while polling": shut(says(response(200, b"<html>"), "auth_status"), "protocol"),
    "an unknown result while polling": shut(
        says(ok({"result": "maybe", "status": "allow"}), "auth_status"), "protocol"
    ),
    "only a status while polling": shut(says(ok({"status": "allow"}), "auth_status"), "protocol"),
}
# What is no outage: it heals within the login.
HEALS = {
    "503 once": Case(gateway(503, "preauth", times=1), "", "both_factors", "both_factors"),
    "a poll is lost": Case(does("auth_status", times=1, reset=True), "", "both_factors", "both_factors"),
    "a poll answers 502": Case(gateway(502, "auth_status", times=1), "", "both_factors", "both_factors"),
    "a slow cloud": Case(does("*", delay=0.4), "", "both_factors", "both_factors"),
    "skew that a resync heals": Case(
        lambda cloud, _: setattr(cloud, "skew", 4000.0), "", "both_factors", "both_factors"
    ),
}
CASES = {**BEFORE, **DISAGREES, **AT_AUTH, **WHILE_POLLING, **HEALS}


class Outages(World):
    """A cloud, a safe and a secure section, and two users for each case."""

    def build(self) -> None:
        self.pairs: dict[str, dict[str, Section]] = {}
        self.users: dict[str, dict[str, Login]] = {}
        self.outcome: dict[tuple[str, str], tuple[int | None, AuditEvent]] = {}
        for number, case in enumerate(CASES, 1):
            host = f"127.0.1.{number}"
            cloud = self.new_cloud(host, address=host)
            timing = {"api_timeout": 2, "api_connect_timeout": 1, "login_patience": 6}
            self.pairs[case] = {
                mode: self.add_section(f"{mode} {number}", cloud=cloud, failmode=mode, **timing)
                for mode in ("safe", "secure")
            }
            self.users[case] = {mode: self.add_user(f"{mode}{number}") for mode in ("safe", "secure")}

        self.healing = self.add_section("healing", cloud=self.cloud, failmode="safe", **timing)
        self.crowd = [self.add_user(f"crowd{number}") for number in range(20)]

    def log_in(self) -> None:
        """Break everything, then all logins at once."""
        self.cloud.become("mute")
        nas = self.nas(self.healing)
        for tens in (self.crowd[:10], self.crowd[10:]):
            replies = nas.exchange_all([nas.login(user.user, user.password) for user in tens], 30)
            assert set(codes(replies)) == {ACCESS_ACCEPT}
        self.cloud.become("well")
        for name, case in CASES.items():
            case.break_(self.clouds[self.pairs[name]["safe"].host], self.authority)
        asked = []
        for name, modes in self.pairs.items():
            for mode, section in modes.items():
                nas = self.nas(section)
                request = nas.login(self.users[name][mode].user, self.users[name][mode].password)
                nas.send(request)
                asked.append((name, mode, nas, request))
        host = self.pairs[GONE]["safe"].host
        self.journal.wait(CloudRequest, lambda r: r.host == host and r.endpoint == "auth", count=2)
        self.clouds[host].become("refused")
        for name, mode, nas, request in asked:
            reply = nas.receive(request, 30)
            user = self.users[name][mode].user
            (event,) = self.wait_audit(
                username=user, decision="accept" if reply and reply.code == 2 else "reject"
            )
            self.outcome[name, mode] = (codes([reply])[0], event)


@pytest.fixture(scope="module")
def outages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outages]:
    world = Outages(tmp_path_factory.mktemp("outages"))
    world.build()
    world.expected_refusals = re.compile("bad timestamp")
    world.start()
    world.log_in()
    yield world
    world.close()


@pytest.mark.parametrize("mode", ["safe", "secure"])
@pytest.mark.parametrize("name", CASES)
def test_when_the_cloud_fails(outages: Outages, name: str, mode: str) -> None:
    """F3, F4, F5, T2, T8, A6 and the contract's table: class, stage, and what each mode makes of it."""
    case = CASES[name]
    code, event = outages.outcome[name, mode]
    reason = case.safe if mode == "safe" else case.secure
    assert (event["reason"], event.get("cause") or "") == (reason, case.cause), event
    assert code == (ACCESS_ACCEPT if reason in {"fail_open", "both_factors"} else ACCESS_REJECT)
    assert event["fail_open"] is (reason == "fail_open")
    assert event["server_section"] == outages.pairs[name][mode].name
    user = outages.users[name][mode].user
    assert [bind.result for bind in outages.binds(user)] == [0]
    if name in AT_AUTH and case.cause != "overload":
        # Lost or not, it is never sent again: that would be a second push. (429 says that there was none.)
        assert len(outages.asked(user)) == 1


def test_fail_open_is_counted_and_told(outages: Outages) -> None:
    """F8: as many in the counter and in the log as in the audit."""
    opened = [event for _, event in outages.outcome.values() if event["reason"] == "fail_open"]
    assert len(opened) == len([case for case in CASES.values() if case.safe == "fail_open"])
    written = outages.wait_audit(len(opened), reason="fail_open")
    assert outages.running.metric("authproxy_fail_open_total") == len(written)
    for cause in ("unreachable", "server_error"):
        expected = len([event for event in written if event["cause"] == cause])
        assert outages.running.metric("authproxy_fail_open_total", cause=cause) == expected
    assert outages.running.metric("authproxy_decisions_total", reason="fail_open") == len(written)


def test_an_outage_costs_one_time_out(outages: Outages) -> None:
    """A7: once it is known, nobody else asks and waits; the fail mode decides at once, each time on record."""
    later = outages.crowd[10:]
    assert [outages.asked(user.user, "preauth") for user in later] == [[]] * 10
    assert outages.running.metric("authproxy_breaker_open", api_host="localhost") in {0, 1}
    events = [outages.wait_audit(user=user.user, decision="accept") for user in later]
    assert {event["reason"] for (event,) in events} == {"fail_open"}
    assert max(event["cloud_ms"] for (event,) in events) < 2000


def test_the_door_shuts_when_the_cloud_is_back(outages: Outages) -> None:
    """A7: a probe finds it, not a user; then both factors again."""
    user = outages.crowd[0]
    nas = outages.nas(outages.healing)

    def both_factors() -> bool:
        began = len(outages.audit(user=user.user, reason="both_factors"))
        assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
        return len(outages.wait_audit(began + 1, user=user.user, decision="accept")) > began and bool(
            outages.audit(user=user.user, reason="both_factors")
        )

    wait_for(both_factors, 40, every=0.5)


# ---- one world each


def only(world: World, failmode: str = "safe", **options: Any) -> Login:
    world.add_section("door", failmode=failmode, api_timeout=2, api_connect_timeout=1, **options)
    return world.add_user("alice")


def door(world: World, user: Login, password: str | None = None) -> tuple[int | None, str, str]:
    """One login: the answer, its reason and cause."""
    before = len(world.audit(username=user.user))
    reply = world.nas().ask(user.user, password or user.password, timeout=20)
    events = wait_for(lambda: [e for e in world.audit(username=user.user)[before:] if e.get("decision")])
    return codes([reply])[0], events[-1]["reason"], events[-1].get("cause") or ""


def test_never_proven_never_opens(world: World) -> None:
    """Gate 1: credentials that have never passed `check` look like an outage, and are a typing mistake for all we know.

    Once they have, it lasts over a restart into the outage; other credentials have to pass anew.
    """
    user = only(world)
    world.cloud.become("refused")
    world.start(proven=False)
    assert door(world, user) == (ACCESS_REJECT, "fail_closed", "unreachable")
    world.cloud.become("well")
    assert door(world, user)[1] == "both_factors"
    world.wait_proven()
    world.cloud.become("refused")
    assert door(world, user) == (ACCESS_ACCEPT, "fail_open", "unreachable")
    assert world.running.stop() == 0
    world.start(proven=False)
    assert door(world, user) == (ACCESS_ACCEPT, "fail_open", "unreachable")
    assert world.running.stop() == 0
    options = world.options(world.sections[0])
    options["skey"] = world.cloud.keys[options["ikey"]] = world.canaries.new("another secret key", 40)
    world.start(proven=False)
    assert door(world, user) == (ACCESS_REJECT, "fail_closed", "unreachable")


def test_wrong_keys_prove_nothing(world: World) -> None:
    """Gate 1, and class `credential`: the cloud turns the section away, then is gone."""
    user = only(world)
    world.expected_refusals = re.compile("wrong signature")
    ikey = world.options(world.sections[0])["ikey"]
    world.cloud.keys[ikey] = "another key than the daemon has"
    world.start(proven=False)
    assert door(world, user) == (ACCESS_REJECT, "cloud_refused", "credential")
    world.cloud.become("refused")
    assert door(world, user) == (ACCESS_REJECT, "fail_closed", "unreachable")


def test_an_open_door_needs_the_right_password(world: World) -> None:
    """F3: primary refused, primary gone, password empty."""
    user = only(world)
    world.start()
    world.cloud.become("refused")
    assert door(world, user, world.canaries.new("wrong password"))[:2] == (ACCESS_REJECT, "primary_rejected")
    assert codes_of_empty(world, user) == [ACCESS_REJECT] * 3
    world.directory.refuse()
    assert door(world, user)[:2] == (ACCESS_REJECT, "primary_unavailable")
    world.directory.listen()
    wait_for(lambda: door(world, user) == (ACCESS_ACCEPT, "fail_open", "unreachable"), 40)


def codes_of_empty(world: World, user: Login) -> list[int | None]:
    nas = world.nas()
    return codes(nas.exchange_all([nas.login(user.user, typed) for typed in (b"", b",push", b",123456")]))


def test_a_passcode_goes_unchecked_through_an_open_door(world: World) -> None:
    """The contract: it changes nothing, the event says so, and no log has it."""
    user = only(world)
    world.start()
    world.cloud.become("refused")
    passcode = world.canaries.passcode("passcode")
    assert door(world, user, f"{user.password},{passcode}") == (ACCESS_ACCEPT, "fail_open", "unreachable")
    (event,) = world.wait_audit(username=user.user, decision="accept")
    assert event["factor"] == "passcode"
    assert "unchecked" in json.dumps(event)


def test_two_sections_decide_differently(world: World) -> None:
    """The same cloud, the same outage, the same moment."""
    user = only(world)
    other = world.add_user("bob")
    secure = world.add_section("wall", failmode="secure", api_timeout=2, api_connect_timeout=1)
    world.start()
    world.cloud.become("refused")
    assert door(world, user)[0] == ACCESS_ACCEPT
    reply = world.nas(secure).ask(other.user, other.password)
    assert reply is not None
    assert reply.code == ACCESS_REJECT


def test_what_one_user_provokes_opens_for_nobody(world: World) -> None:
    """F6: a name that makes the service fail, again and again; the door stays shut for it and for the others."""
    poison = only(world)
    others = [world.add_user(f"user{number}") for number in range(3)]
    world.start()
    world.cloud.break_("preauth", status(500), user=poison.user)
    world.cloud.break_("preauth", Fault(silent=True), user="user0")
    world.cloud.break_("preauth", Fault(reset=True), user="user1")
    nas = world.nas()
    for number in range(2):
        stations = [(CALLING_STATION_ID, f"192.0.2.{number}{each}".encode()) for each in range(4)]
        asked = [
            nas.login(each.user, each.password, one) for each in (poison, *others[:2]) for one in stations
        ]
        assert codes(nas.exchange_all(asked, 20)) == [ACCESS_REJECT] * 12
    kept_out = {event["reason"] for event in world.audit(decision="reject")}
    assert kept_out == {"fail_closed"}
    assert door(world, others[2]) == (ACCESS_ACCEPT, "both_factors", "")


def test_a_challenge_is_not_answered_by_an_outage(world: World) -> None:
    """F3: the factor was asked for."""
    user = only(world, factors=["passcode"])
    world.start()
    nas = world.nas()
    question = nas.ask(user.user, user.password)
    assert question is not None
    assert question.code == ACCESS_CHALLENGE
    world.cloud.become("refused")
    answer = nas.ask(user.user, world.canaries.passcode("passcode"), (STATE, question.values(STATE)[0]))
    assert answer is not None
    assert answer.code == ACCESS_REJECT
