"""Every way a login can end, through the real pipeline: its audit lines, its count, its place on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from authproxy.observe.audit import AuditLog
from authproxy.observe.metrics import Metrics
from authproxy.observe.recent import WITHOUT_FACTOR, Recent
from authproxy.observe.record import _MESSAGES, SILENT, SectionRecorder
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.policy import Policy
from authproxy.pipeline.ports import (
    AuditUnavailable,
    FactorAllow,
    FactorDeny,
    FailureClass,
    PreauthAllow,
    PreauthEnroll,
    PrimaryUnavailable,
    Refused,
    Verified,
)
from authproxy.pipeline.record import Facts
from authproxy.pipeline.second_step import SecondStep
from tests.observe.fakes import Remembered
from tests.observe.test_metrics import values
from tests.pipeline.fakes import Cloud, Directory, Door, challenges, request, run


class Bench:
    """A recorder with all its sinks."""

    def __init__(self, folder: Path, *, binds: bool = False) -> None:
        self.log = Remembered()
        self.metrics = Metrics()
        self.recent = Recent()
        self.path = folder / "authevents.log"
        self.audit = AuditLog(
            self.path, hostname="proxy1", max_size=10**6, max_files=1, log=self.log, clock=lambda: 0.0
        )
        self.recorder = SectionRecorder(
            "vpn",
            "DIX",
            audit=self.audit,
            metrics=self.metrics,
            log=self.log,
            recent=self.recent,
            binds=binds,
        )

    def login(
        self,
        directory: Directory,
        cloud: Cloud,
        fail_mode: FailMode = FailMode.SECURE,
        door: Door | None = None,
        **changes: Any,
    ) -> Decision:
        policy = Policy(fail_mode, exempt=frozenset({"svc"}))
        clock = iter(range(100)).__next__
        second = SecondStep(policy, cloud, door or Door(), challenges(), clock)
        pipeline = Pipeline(policy, directory, second, self.recorder, clock)
        return run(pipeline.authenticate(request(client_ip="198.51.100.7", **changes)))

    def lines(self) -> list[dict[str, Any]]:
        assert self.audit.flush()
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = Bench(tmp_path)
    yield made
    made.audit.close()


def test_a_normal_login_is_two_lines(bench: Bench) -> None:
    bench.login(Directory(), Cloud(auth_answer=FactorAllow("Success. Welcome.", "T1")), username="Alice")
    first, second = bench.lines()
    assert first == {
        "timestamp": "1970-01-01T00:00:00.000000Z",
        "msg": "The password is right",
        "username": "Alice",
        "dn": "uid=alice",
        "auth_stage": "Primary authentication",
        "status": "Allow",
        "client_ip": "198.51.100.7",
        "server_section": "vpn",
        "server_section_ikey": "DIX",
        "factor": None,
        "hostname": "proxy1",
        "login": "L1",
        "user": "alice",
        "decision": None,
        "reason": None,
        "cause": None,
        "detail": None,
        "primary_ms": 1000.0,
        "cloud_ms": None,
        "client": "asa",
        "nas_ip": "10.1.0.1",
        "txid": None,
        "fail_open": False,
        "why": None,
    }
    assert second == first | {
        "msg": "Success. Welcome.",
        "auth_stage": "Secondary authentication",
        "factor": "auto",
        "decision": "accept",
        "reason": "both_factors",
        "cloud_ms": 4000,
        "txid": "T1",
    }
    assert (
        values(bench.metrics)["authproxy_decisions_total{decision=accept,reason=both_factors,section=vpn}"]
        == 1
    )
    ((level, event, fields),) = bench.log.events
    assert (level, event) == ("info", "login.decided")
    assert fields["reason"] == "both_factors"


ENDS = [
    (Directory(), Cloud(), {"password": b""}, "reject", "empty_password", "Primary", "Reject", None),
    (
        Directory(),
        Cloud(),
        {"password": b"wrong"},
        "reject",
        "primary_rejected",
        "Primary",
        "Reject",
        "bad_password",
    ),
    (
        Directory(PrimaryUnavailable("dc1: refused")),
        Cloud(),
        {},
        "reject",
        "primary_unavailable",
        "Primary",
        "Error",
        "unavailable",
    ),
    (Directory(Verified("svc")), Cloud(), {}, "accept", "exempt", "Secondary", "Allow", None),
    (Directory(), Cloud(PreauthAllow()), {}, "accept", "cloud_allow", "Secondary", "Allow", None),
    (
        Directory(),
        Cloud(auth_answer=FactorDeny("fraud")),
        {},
        "reject",
        "fraud",
        "Secondary",
        "Reject",
        "fraud",
    ),
    (
        Directory(),
        Cloud(FailureClass.UNREACHABLE),
        {},
        "reject",
        "fail_closed",
        "Secondary",
        "Error",
        "unreachable",
    ),
    (
        Directory(),
        Cloud(FailureClass.UNTRUSTED),
        {},
        "reject",
        "cloud_refused",
        "Secondary",
        "Error",
        "untrusted",
    ),
]


@pytest.mark.parametrize(
    ("directory", "cloud", "typed", "decision", "reason", "stage", "status", "cause"), ENDS
)
def test_ends(
    bench: Bench,
    directory: Directory,
    cloud: Cloud,
    typed: dict[str, Any],
    decision: str,
    reason: str,
    stage: str,
    status: str,
    cause: str | None,
) -> None:
    bench.login(directory, cloud, **typed)
    lines = bench.lines()
    assert len(lines) == (1 if stage == "Primary" else 2)  # the primary's no is the decision
    last = lines[-1]
    assert last["auth_stage"] == f"{stage} authentication"
    assert (last["decision"], last["reason"], last["status"], last["cause"]) == (
        decision,
        reason,
        status,
        cause,
    )
    assert last["fail_open"] is False
    assert (
        values(bench.metrics)[f"authproxy_decisions_total{{decision={decision},reason={reason},section=vpn}}"]
        == 1
    )
    assert [event.reason for event in bench.recent.decisions()] == [reason]


def test_an_open_door_is_written_first_and_everywhere(bench: Bench) -> None:
    decision = bench.login(
        Directory(), Cloud(FailureClass.UNREACHABLE), FailMode.SAFE, password=b"right,123456"
    )
    assert isinstance(decision, Accept)
    written = bench.path.read_text()  # without a flush: before the Accept goes out (F8)
    last = json.loads(written.splitlines()[-1])
    assert (last["fail_open"], last["cause"], last["factor"]) == (True, "unreachable", "passcode")
    assert "123456" not in written
    assert values(bench.metrics)["authproxy_fail_open_total{cause=unreachable,section=vpn}"] == 1
    assert bench.log.events[-1][:2] == ("warn", "login.let_in_by_fail_open")
    assert [event.login for event in bench.recent.fail_opens()] == ["L1"]
    assert bench.recent.fail_open_count == 1


def test_no_record_no_open_door(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(event: object) -> None:
        raise AuditUnavailable("No space left on device")

    monkeypatch.setattr(bench.audit, "write_now", full)
    decision = bench.login(Directory(), Cloud(FailureClass.UNREACHABLE), FailMode.SAFE)
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.FAIL_CLOSED
    last = bench.lines()[-1]
    assert (last["reason"], last["cause"], last["fail_open"]) == ("fail_closed", "audit_unavailable", False)
    assert list(bench.recent.fail_opens()) == []
    assert values(bench.metrics)["authproxy_fail_open_total{cause=unreachable,section=vpn}"] == 0
    assert bench.log.of("login.kept_out")[0]["problem"] == "No space left on device"


def test_what_nobody_should_overlook_is_kept_apart(bench: Bench) -> None:
    bench.login(Directory(), Cloud(FailureClass.UNREACHABLE), FailMode.SAFE)
    bench.login(Directory(Verified("svc")), Cloud())
    for _ in range(1000):
        bench.login(Directory(), Cloud(), password=b"wrong")
    assert [event.reason for event in bench.recent.fail_opens()] == ["fail_open"]
    assert [event.reason for event in bench.recent.without_factor()] == ["exempt"]
    assert len(list(bench.recent.decisions())) == 100


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_and_a_stage(bench: Bench, reason: Reason) -> None:
    assert _MESSAGES[reason]
    decisions: list[Decision] = [Reject(reason)]
    if reason in WITHOUT_FACTOR:
        decisions = [Accept(reason)]
    elif reason.value.endswith(("prompt", "challenge")):
        decisions = [Challenge(reason, "")]
    for decision in decisions:
        bench.recorder.decided(request(), Facts("alice", cause="unreachable"), decision)
    (line,) = bench.lines()
    assert line["auth_stage"] in ("Primary authentication", "Secondary authentication", "Unknown")
    assert line["status"] in ("Allow", "Reject", "Error", "Challenge")
    assert line["msg"] == _MESSAGES[reason]


def test_a_refusal_with_its_cause(bench: Bench) -> None:
    bench.login(Directory(Refused("locked", message="Ask the desk\r\nforged")), Cloud())
    (line,) = bench.lines()
    assert (line["cause"], line["msg"]) == ("locked", "Ask the desk\r\nforged")
    assert len(bench.path.read_text().splitlines()) == 1


def test_primary_only_is_written_first_too(bench: Bench) -> None:
    """F8; and it is no fail open: nothing failed."""
    bench.login(Directory(), Cloud(), FailMode.SAFE, Door(ordered=True))
    last = json.loads(bench.path.read_text().splitlines()[-1])  # without a flush
    assert (last["decision"], last["reason"], last["fail_open"]) == ("accept", "primary_only", False)
    assert values(bench.metrics)["authproxy_fail_open_total{cause=unreachable,section=vpn}"] == 0
    assert [event for _, event, _ in bench.log.events] == ["login.let_in_by_primary_only"]
    assert [event.reason for event in bench.recent.without_factor()] == ["primary_only"]


@pytest.mark.parametrize(
    ("fail_mode", "door", "why", "message"),
    [
        (FailMode.SECURE, Door(), "secure", "The second factor can't be checked now."),
        (FailMode.SAFE, Door("max_minutes"), "max_minutes", "The second factor can't be checked now."),
        (FailMode.SILENT, Door(), "silent", SILENT),
    ],
)
def test_what_kept_a_login_out_is_said_and_counted(
    bench: Bench, fail_mode: FailMode, door: Door, why: str, message: str
) -> None:
    bench.login(Directory(), Cloud(FailureClass.UNREACHABLE), fail_mode, door)
    last = bench.lines()[-1]
    assert (last["decision"], last["reason"], last["why"], last["msg"]) == (
        "reject",
        "fail_closed",
        why,
        message,
    )
    assert values(bench.metrics)[f"authproxy_fail_closed_total{{section=vpn,why={why}}}"] == 1


@pytest.mark.parametrize(
    ("typed", "password", "username", "dn"),
    [
        ("uid=alice,dc=x", b"right", "alice", "uid=alice"),  # the fake directory's entry
        ("alice@corp.example", b"right", "alice", "uid=alice"),
        ("uid=alice,dc=x", b"wrong", "uid=alice,dc=x", "uid=alice,dc=x"),
        ("alice@corp.example", b"wrong", "alice@corp.example", None),
    ],
)
def test_a_bind_s_names(tmp_path: Path, typed: str, password: bytes, username: str, dn: str | None) -> None:
    """The contract, section 7: by LDAP `dn` is who bound, and `username` who that is, once it is known."""
    bench = Bench(tmp_path, binds=True)
    bench.login(Directory(), Cloud(), username=typed, password=password)
    lines = bench.lines()
    assert {(line["username"], line["dn"]) for line in lines} == {(username, dn)}
    bench.audit.close()


@pytest.mark.parametrize("can_challenge", [False, True])
def test_a_link_to_enroll_is_on_no_record(bench: Bench, can_challenge: bool) -> None:
    """S2: whoever opens it adds a phone to this user."""
    link = "https://cloud.example/enroll/~secret-code"
    answer = PreauthEnroll("Set up a phone first:", link)
    decision = bench.login(Directory(), Cloud(answer), can_challenge=can_challenge)
    assert isinstance(decision, Challenge | Reject)
    assert link in decision.message
    (line,) = [line for line in bench.lines() if line["decision"]]
    assert line["msg"] == "Set up a phone first: https://cloud.example/…"
    assert "secret-code" not in bench.path.read_text()
    assert "secret-code" not in repr([*bench.recent.decisions(), *bench.log.events])
