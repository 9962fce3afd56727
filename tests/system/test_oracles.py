"""Oracle B2 itself: it takes what is in order, and each forged journal is caught."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest

from tests.system.bench.journal import (
    CloudVerdict,
    Journal,
    LdapBind,
    LdapResult,
    PrimaryBind,
    RadiusReply,
    RadiusRequest,
)
from tests.system.bench.oracles import AuditEvent, Oracle, Section

VPN = Section("vpn", 1812)
SAFE = Section("safe", 1813, fail_mode="safe", exempt=frozenset({"robot"}))
APPS = Section("apps", 389, ssl_port=636, exempt=frozenset({"svc"}), exempts_first=False)
FIRST = Section("first", 1389, exempts_first=True)
MEMORY = Section("memory", 2389, approval_memory=30)
ELSEWHERE = Section("elsewhere", 1814, host="other.test")
EPOCH = time.time() - time.monotonic()
ACCEPT, REJECT, CHALLENGE = 2, 3, 11


class Story:
    """A journal, told. Names are as the canonical ones; a request's authenticator is its number."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.audit: list[AuditEvent] = []

    def request(
        self,
        user: str = "alice",
        password: bytes = b"right",
        *,
        section: Section = VPN,
        station: bytes = b"",
        port: int = 5000,
        code: int = 1,
        state: bytes = b"",
    ) -> RadiusRequest:
        return self.journal.add(
            RadiusRequest,
            nas=("127.0.0.1", port),
            server=("127.0.0.1", section.port),
            octets=self._octets(code, state),
            user=user,
            password=password,
            station=station,
        )

    def ldap_bind(
        self,
        user: str = "alice",
        password: bytes = b"right",
        *,
        port: int = 389,
        station: bytes = b"127.0.0.1",
        first: bool = True,
    ) -> LdapBind:
        return self.journal.add(
            LdapBind, server=("127.0.0.1", port), user=user, password=password, station=station, first=first
        )

    def ldap_result(self, bind: LdapBind | None, result: int = 0) -> LdapResult:
        return self.journal.add(LdapResult, request=0 if bind is None else bind.order, result=result)

    def ldap_login(self, section: str = "apps", **more: Any) -> None:
        bind = self.ldap_bind(**more)
        self.bind(bind.user)
        self.verdict(bind.user)
        self.record(user=bind.user, section=section)
        self.ldap_result(bind)

    def _octets(self, code: int, state: bytes) -> bytes:
        head = bytes((code,)) + len(self.journal).to_bytes(19, "big")
        return head + (bytes((24, len(state) + 2)) + state if state else b"")

    def bind(self, user: str = "alice", password: bytes = b"right", result: int = 0) -> PrimaryBind:
        return self.journal.add(PrimaryBind, name=f"CN={user}", user=user, password=password, result=result)

    def began(self) -> int:
        """The factor is asked for."""
        return self.journal.add(PrimaryBind, name="(the cloud)", user="", password=b"", result=1).order

    def verdict(
        self,
        user: str = "alice",
        result: str = "allow",
        *,
        began: int | None = None,
        endpoint: str = "auth_status",
        host: str = "localhost",
    ) -> CloudVerdict:
        began = self.began() if began is None else began
        return self.journal.add(
            CloudVerdict, endpoint=endpoint, user=user, result=result, began=began, host=host
        )

    def reply(
        self, request: RadiusRequest, code: int = ACCEPT, *, to: int | None = None, state: bytes = b""
    ) -> RadiusReply:
        return self.journal.add(
            RadiusReply,
            nas=request.nas,
            octets=bytes((code,)) + request.octets[1:20] + self._octets(0, state)[20:],
            source=request.server,
            request=request.order if to is None else to,
        )

    def record(
        self, reason: str = "both_factors", user: str = "alice", section: str = "vpn", **more: object
    ) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        event = {"timestamp": now, "user": user, "decision": "accept", "reason": reason}
        self.audit.append({**event, "server_section": section, **more})

    def both_factors(self, request: RadiusRequest) -> RadiusReply:
        self.bind(request.user, request.password)
        self.verdict(request.user)
        self.record(user=request.user)
        return self.reply(request)

    def problems(self, **more: Any) -> list[str]:
        oracle = Oracle((VPN, SAFE, APPS, FIRST, MEMORY, ELSEWHERE), str.lower, EPOCH, **more)
        return oracle.unexplained(self.journal, self.audit)


@pytest.fixture
def story() -> Story:
    return Story()


# ---- what is in order


def test_both_factors(story: Story) -> None:
    story.both_factors(story.request())
    assert story.problems() == []


def test_a_name_in_another_form_is_the_same_user(story: Story) -> None:
    """R33"""
    request = story.request("ALICE")
    story.bind()
    story.verdict()
    story.record()
    story.reply(request)
    assert story.problems() == []


def test_a_factor_behind_the_password(story: Story) -> None:
    request = story.request(password=b"right,123456")
    story.bind()
    story.verdict(endpoint="auth")
    story.record()
    story.reply(request)
    assert story.problems() == []


def test_the_same_answer_twice_is_one_login(story: Story) -> None:
    """R45"""
    request = story.request()
    story.both_factors(request)
    story.reply(request)
    assert story.problems() == []


def test_who_asks_while_it_waits_has_joined(story: Story) -> None:
    """R46"""
    first = story.request()
    story.bind()
    began = story.began()
    second = story.request(port=5001)
    story.verdict(began=began)
    story.record()
    story.reply(first)
    story.reply(second)
    assert story.problems() == []


def test_joining_before_the_password_is_known_right(story: Story) -> None:
    first, second = story.request(), story.request(port=5001)
    story.bind()
    story.verdict()
    story.record()
    story.reply(second)
    story.reply(first)
    assert story.problems() == []


def test_one_user_logs_in_often(story: Story) -> None:
    for _ in range(20):
        story.both_factors(story.request())
    assert story.problems() == []


def test_one_user_is_let_in_by_an_open_door_often(story: Story) -> None:
    """A hundred in a row, within a second: who belongs to whom is told in no time."""
    for _ in range(100):
        request = story.request(section=SAFE)
        story.bind()
        story.record("fail_open", section="safe", fail_open=True)
        story.reply(request)
    assert story.problems() == []
    story.audit.pop()
    assert len(story.problems()) == 1


def test_two_devices_at_once_each_with_their_own(story: Story) -> None:
    laptop, phone = story.request(station=b"laptop"), story.request(station=b"phone")
    story.bind()
    story.bind()
    story.verdict()
    story.verdict()
    story.record()
    story.record()
    story.reply(phone)
    story.reply(laptop)
    assert story.problems() == []


def test_fail_open_that_was_written_down(story: Story) -> None:
    """F8"""
    request = story.request(section=SAFE)
    story.bind()
    story.record("fail_open", section="safe", fail_open=True)
    story.reply(request)
    assert story.problems() == []


def test_joined_fail_open(story: Story) -> None:
    first, second = story.request(section=SAFE), story.request(section=SAFE, port=5001)
    story.bind()
    story.record("fail_open", section="safe", fail_open=True)
    story.reply(first)
    story.reply(second)
    assert story.problems() == []


def test_primary_only_by_order(story: Story) -> None:
    """And not without one, nor before it, nor behind it, nor where the section isn't safe."""
    request = story.request(section=SAFE)
    story.bind()
    story.record("primary_only", section="safe")
    story.reply(request)
    assert story.problems(orders=[(0, 1e12)]) == []
    assert story.problems()
    assert story.problems(orders=[(-2, -1), (1e12, 2e12)])


def test_primary_only_in_a_secure_section(story: Story) -> None:
    request = story.request()
    story.bind()
    story.record("primary_only")
    story.reply(request)
    assert story.problems(orders=[(0, 1e12)])


def test_exempt(story: Story) -> None:
    request = story.request("robot", section=SAFE)
    story.bind("robot")
    story.record("exempt", "robot", "safe")
    story.reply(request)
    assert story.problems() == []


def test_bypass_by_the_cloud(story: Story) -> None:
    request = story.request()
    story.bind()
    story.verdict(endpoint="preauth")
    story.record("cloud_allow")
    story.reply(request)
    assert story.problems() == []


def test_status_server_is_no_login(story: Story) -> None:
    """R50"""
    story.reply(story.request("", b"", code=12))
    assert story.problems() == []


def test_rejects_need_no_ground(story: Story) -> None:
    story.reply(story.request(), REJECT)
    assert story.problems() == []


def challenged(story: Story, state: bytes = b"sealed", user: str = "alice") -> RadiusRequest:
    """A right password, answered by a question."""
    first = story.request(user)
    story.bind(user)
    story.verdict(user, "auth", endpoint="preauth")
    story.reply(first, CHALLENGE, state=state)
    return first


def test_an_answered_challenge(story: Story) -> None:
    challenged(story)
    answer = story.request(password=b"123456", state=b"sealed")
    story.verdict(endpoint="auth")
    story.record()
    story.reply(answer)
    assert story.problems() == []


def test_a_challenge_behind_a_challenge(story: Story) -> None:
    """`sms`, then the code from it."""
    challenged(story)
    sms = story.request(password=b"sms", state=b"sealed")
    story.verdict(result="deny", endpoint="auth")
    story.reply(sms, CHALLENGE, state=b"sealed again")
    code = story.request(password=b"123456", state=b"sealed again")
    story.verdict(endpoint="auth")
    story.record()
    story.reply(code)
    assert story.problems() == []


def test_a_real_directory_keeps_no_journal(story: Story) -> None:
    request = story.request(password=b"right,push")
    story.verdict()
    story.record()
    story.reply(request)
    assert story.problems(passwords={"alice": b"right"}) == []
    assert story.problems()
    assert story.problems(passwords={"alice": b"another"})
    assert story.problems(passwords={"bob": b"right"})


# ---- forgeries


def test_a_made_up_state(story: Story) -> None:
    """R39"""
    challenged(story)
    answer = story.request(password=b"123456", state=b"made up")
    story.verdict(endpoint="auth")
    story.record()
    story.reply(answer)
    assert story.problems()


def test_another_users_state(story: Story) -> None:
    """R39"""
    challenged(story, user="bob")
    answer = story.request(password=b"123456", state=b"sealed")
    story.verdict(endpoint="auth")
    story.record()
    story.reply(answer)
    assert story.problems()


def test_a_state_that_lets_in_twice(story: Story) -> None:
    """R40"""
    challenged(story)
    for port in (5000, 5001):
        answer = story.request(password=b"123456", state=b"sealed", port=port)
        story.verdict(endpoint="auth")
        story.record()
        story.reply(answer)
    assert story.problems()


def test_an_answer_without_an_allow_of_its_own(story: Story) -> None:
    """The allow was asked for before the user had answered."""
    challenged(story)
    began = story.began()
    answer = story.request(password=b"123456", state=b"sealed")
    story.verdict(endpoint="auth", began=began)
    story.record()
    story.reply(answer)
    assert story.problems()


def test_fail_open_behind_a_challenge(story: Story) -> None:
    """F3"""
    first = story.request(section=SAFE)
    story.bind()
    story.reply(first, CHALLENGE, state=b"sealed")
    answer = story.request(password=b"123456", state=b"sealed", section=SAFE)
    story.record("fail_open", section="safe", fail_open=True)
    story.reply(answer)
    assert story.problems()


def test_no_allow(story: Story) -> None:
    request = story.request()
    story.bind()
    story.record()
    story.reply(request)
    assert story.problems()


def test_no_primary_success(story: Story) -> None:
    request = story.request()
    story.verdict()
    story.record()
    story.reply(request)
    assert story.problems()


@pytest.mark.parametrize("result", [49, 8, 10, -1])
def test_a_primary_that_said_no(story: Story, result: int) -> None:
    request = story.request()
    story.bind(result=result)
    story.verdict()
    story.record()
    story.reply(request)
    assert story.problems()


@pytest.mark.parametrize("result", ["deny", "auth", "enroll"])
def test_a_cloud_that_did_not_allow(story: Story, result: str) -> None:
    request = story.request()
    story.bind()
    story.verdict(result=result)
    story.record()
    story.reply(request)
    assert story.problems()


def test_an_empty_password_is_no_success(story: Story) -> None:
    """R25: the directory says yes to an unauthenticated bind."""
    request = story.request(password=b"")
    story.bind(password=b"")
    story.verdict()
    story.record()
    story.reply(request)
    assert story.problems()


@pytest.mark.parametrize("bound", [b"righ", b"right ", b"RIGHT", b"right,push,x"])
def test_another_password_than_was_typed(story: Story, bound: bytes) -> None:
    """R24"""
    request = story.request(password=b"right,push")
    story.bind(password=bound)
    story.verdict()
    story.record()
    story.reply(request)
    assert story.problems()


def test_another_users_password(story: Story) -> None:
    request = story.request()
    story.bind("bob")
    story.verdict()
    story.record()
    story.reply(request)
    assert story.problems()


def test_another_users_allow(story: Story) -> None:
    request = story.request()
    story.bind()
    story.verdict("bob")
    story.record()
    story.reply(request)
    assert story.problems()


def test_another_clouds_allow(story: Story) -> None:
    request = story.request(section=ELSEWHERE)
    story.bind()
    story.verdict(host="localhost")
    story.record(section="elsewhere")
    story.reply(request)
    assert story.problems()


def test_an_allow_from_before_the_request(story: Story) -> None:
    began = story.began()
    story.verdict(began=began)
    request = story.request()
    story.bind()
    story.record()
    story.reply(request)
    assert story.problems()


def test_a_factor_asked_for_before_the_password_was_right(story: Story) -> None:
    request = story.request()
    began = story.began()
    story.bind()
    story.verdict(began=began)
    story.record()
    story.reply(request)
    assert story.problems()


def test_an_answer_before_the_allow(story: Story) -> None:
    request = story.request()
    story.bind()
    began = story.began()
    story.record()
    story.reply(request)
    story.verdict(began=began)
    assert story.problems()


def test_one_allow_for_two_logins(story: Story) -> None:
    """The second asked when the first was over."""
    story.both_factors(story.request())
    second = story.request(port=5001)
    story.bind()
    story.record()
    story.reply(second)
    assert story.problems()


def test_one_bind_for_two_logins(story: Story) -> None:
    story.both_factors(story.request())
    second = story.request(port=5001)
    story.verdict()
    story.record()
    story.reply(second)
    assert story.problems()


def test_joining_what_was_decided_already(story: Story) -> None:
    first = story.request()
    story.bind()
    story.verdict()
    late = story.request(port=5001)
    story.record()
    story.reply(first)
    story.reply(late)
    assert story.problems()


def test_another_password_does_not_join(story: Story) -> None:
    """R46"""
    first, second = story.request(), story.request(password=b"wrong", port=5001)
    story.bind()
    story.verdict()
    story.record()
    story.reply(first)
    story.reply(second)
    assert story.problems()


def test_another_station_does_not_join(story: Story) -> None:
    first, second = story.request(station=b"laptop"), story.request(station=b"phone", port=5001)
    story.bind()
    story.bind()
    story.verdict()
    story.record()
    story.record()
    story.reply(first)
    story.reply(second)
    assert story.problems()


def test_two_users_one_allow_each_way_round(story: Story) -> None:
    alice, bob = story.request(), story.request("bob")
    story.bind()
    story.bind("bob")
    story.verdict("bob")
    story.verdict("bob")
    story.record()
    story.record(user="bob")
    story.reply(alice)
    story.reply(bob)
    assert len(story.problems()) == 1


def test_an_accept_that_answers_nothing(story: Story) -> None:
    request = story.request()
    story.bind()
    story.verdict()
    story.record()
    story.reply(request, to=0)
    assert story.problems()


@pytest.mark.parametrize(
    "event",
    [
        {"section": "vpn"},
        {"user": "bob"},
        {"user": None},
        {"decision": "reject"},
        {"fail_open": False},
        {"reason": "duo_only"},
        {"reason": "cloud_allow"},
        {"reason": "exempt"},
        {"timestamp": "2026-01-01T00:00:00.000000Z"},
    ],
)
def test_an_event_that_does_not_fit(story: Story, event: dict[str, object]) -> None:
    """F8: another section's, another user's, a refusal, an exception that isn't configured, another time's."""
    request = story.request(section=SAFE)
    story.bind()
    story.record(**{"reason": "fail_open", "section": "safe", "fail_open": True, **event})  # type: ignore[arg-type]
    story.reply(request)
    assert story.problems()


def test_fail_open_in_a_secure_section(story: Story) -> None:
    request = story.request()
    story.bind()
    story.record("fail_open", fail_open=True)
    story.reply(request)
    assert story.problems()


def test_fail_open_with_a_wrong_password(story: Story) -> None:
    request = story.request(section=SAFE)
    story.bind(result=49)
    story.record("fail_open", section="safe", fail_open=True)
    story.reply(request)
    assert story.problems()


@pytest.mark.parametrize("answered", ["auth", "deny", "enroll", "allow"])
def test_fail_open_behind_an_answer(story: Story, answered: str) -> None:
    """F3"""
    request = story.request(section=SAFE)
    story.bind()
    story.verdict(result=answered, endpoint="preauth")
    story.record("fail_open", section="safe", fail_open=True)
    story.reply(request)
    assert story.problems()


def test_one_fail_open_event_for_two_logins(story: Story) -> None:
    """F8"""
    for port in (5000, 5001):
        request = story.request(section=SAFE, port=port)
        story.bind()
        if port == 5000:
            story.record("fail_open", section="safe", fail_open=True)
        story.reply(request)
    assert story.problems()


def test_silence_in_the_audit(story: Story) -> None:
    """An Accept that stands on both factors still has to be written down, once for each login."""
    for _ in range(2):
        request = story.request()
        story.bind()
        story.verdict()
        story.reply(request)
    story.record()
    assert story.problems()
    assert story.problems(audit_works=False) == []


# ---- LDAP


@pytest.mark.parametrize("port", [389, 636])
def test_a_bind_behind_both_factors(story: Story, port: int) -> None:
    story.ldap_login(port=port)
    refused = story.ldap_bind(password=b"wrong")
    story.ldap_result(refused, 49)
    assert story.problems() == []


def test_an_anonymous_bind_is_nobody_s(story: Story) -> None:
    """L7"""
    story.ldap_result(story.ldap_bind("", b""))
    assert story.problems() == []


def test_binds_that_join(story: Story) -> None:
    """L19: each is proven at the directory, and the phone is asked once."""
    binds = [story.ldap_bind() for _ in range(3)]
    story.bind()
    story.verdict()
    story.record(section="apps")
    for bind in binds:
        story.bind()
        story.ldap_result(bind)
    assert story.problems() == []


@pytest.mark.parametrize("missing", ["bind", "verdict", "event", "request"])
def test_a_bind_that_lacks_something(story: Story, missing: str) -> None:
    bind = story.ldap_bind()
    story.bind(result=49 if missing == "bind" else 0)
    story.verdict(result="deny" if missing == "verdict" else "allow")
    if missing != "event":
        story.record(section="apps")
    story.ldap_result(None if missing == "request" else bind)
    assert story.problems()


def test_a_name_without_a_password(story: Story) -> None:
    story.ldap_result(story.ldap_bind("alice", b""))
    assert story.problems()


@pytest.mark.parametrize(
    ("user", "port", "first", "section", "good"),
    [
        ("svc", 389, False, "apps", True),
        ("alice", 389, True, "apps", False),
        ("alice", 1389, True, "first", True),
        ("alice", 1389, False, "first", False),
    ],
)
def test_who_is_exempt(story: Story, user: str, port: int, first: bool, section: str, good: bool) -> None:
    """L10, L11"""
    bind = story.ldap_bind(user, port=port, first=first)
    story.bind(user)
    story.record("exempt", user=user, section=section)
    story.ldap_result(bind)
    assert (story.problems() == []) is good


def reused(story: Story, **more: Any) -> None:
    bind = story.ldap_bind(**{"port": 2389, **more})
    story.bind(bind.user)
    story.began()
    story.verdict(result="auth", endpoint="preauth")
    story.record("recent_approval", section="memory")
    story.ldap_result(bind)


def test_an_approval_counts_once_more(story: Story) -> None:
    story.ldap_login("memory", port=2389)
    reused(story)
    reused(story)
    assert story.problems() == []


@pytest.mark.parametrize("wrong", ["nothing before", "station", "password", "denied since", "not configured"])
def test_an_approval_that_does_not_count(story: Story, wrong: str) -> None:
    port = 389 if wrong == "not configured" else 2389
    if wrong != "nothing before":
        story.ldap_login("apps" if port == 389 else "memory", port=port)
    if wrong == "denied since":
        story.ldap_bind(port=2389, station=b"127.0.0.9")
        story.bind()
        story.verdict(result="deny")
    changes: dict[str, Any] = {
        "station": {"station": b"127.0.0.9"},
        "password": {"password": b"right,123456"},
    }
    reused(story, **changes.get(wrong, {}), port=port)
    assert story.problems()
