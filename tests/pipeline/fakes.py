"""The world as the pipeline's tests see it: small fakes that keep the ports' promises."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from authproxy.pipeline.authenticate import Facts
from authproxy.pipeline.decision import Accept, Decision, Reason
from authproxy.pipeline.ports import (
    AuditUnavailable,
    CloudFailure,
    Device,
    FactorAllow,
    FactorCall,
    FactorDeny,
    FailureClass,
    Preauth,
    PreauthFactors,
    Refused,
    Verified,
)
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import read_username
from authproxy.secret import Secret

T = TypeVar("T")

PHONE = Device("DP1", "phone", frozenset({"auto", "push", "sms", "phone", "mobile_otp"}))
TABLET = Device("DP2", "phone", frozenset({"auto", "push"}))
TOKEN = Device("DT1", "token")


def request(password: bytes = b"right", username: str = "alice", **changes: Any) -> AuthRequest:
    fields: dict[str, Any] = {
        "login": "L1",
        "section": "vpn",
        "username": read_username(username.encode()),
        "password": Secret(password),
        "client": "asa",
        "nas_ip": "10.1.0.1",
        "received": 0.0,
        "deadline": 100.0,
    }
    return AuthRequest(**(fields | changes))


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waited")


@dataclass
class Directory:
    """Knows alice, whose password is `right`. Counts how often it was asked."""

    answer: Verified | Refused | Exception = field(default_factory=lambda: Verified("alice", "uid=alice"))
    asked: list[bytes] = field(default_factory=list)

    async def verify(self, request: AuthRequest, password: Secret) -> Verified | Refused:
        self.asked.append(password.reveal())
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, Verified) and password.reveal() != b"right":
            return Refused("bad_password")
        return self.answer


@dataclass
class Cloud:
    preauth_answer: Preauth | FailureClass = field(default_factory=lambda: PreauthFactors((PHONE,)))
    auth_answer: FactorAllow | FactorDeny | FailureClass = field(default_factory=FactorAllow)
    preauths: list[str] = field(default_factory=list)
    calls: list[tuple[str, FactorCall]] = field(default_factory=list)

    async def preauth(self, request: AuthRequest, username: str) -> Preauth:
        self.preauths.append(username)
        if isinstance(self.preauth_answer, FailureClass):
            raise CloudFailure(self.preauth_answer, "as told")
        return self.preauth_answer

    async def auth(self, request: AuthRequest, username: str, call: FactorCall) -> FactorAllow | FactorDeny:
        self.calls.append((username, call))
        if isinstance(self.auth_answer, FailureClass):
            raise CloudFailure(self.auth_answer, "as told")
        return self.auth_answer


@dataclass
class Door:
    """`shut` is the gate that keeps it shut."""

    shut: str = ""

    async def may_open(self, request: AuthRequest, failure: CloudFailure) -> str:
        return self.shut


@dataclass
class Record:
    """Remembers; refuses to write down an open door when `full`."""

    full: bool = False
    primary: list[bool] = field(default_factory=list)
    decisions: list[tuple[Decision, Facts]] = field(default_factory=list)

    def primary_answered(self, request: AuthRequest, facts: Facts, verified: bool) -> None:
        self.primary.append(verified)

    def decided(self, request: AuthRequest, facts: Facts, decision: Decision) -> None:
        if self.full and isinstance(decision, Accept) and decision.reason is Reason.FAIL_OPEN:
            raise AuditUnavailable("disk full")
        self.decisions.append((decision, facts))
