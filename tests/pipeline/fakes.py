"""The world as the pipeline's tests see it: small fakes that keep the ports' promises."""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from authproxy.pipeline.challenge import Challenges, Memory
from authproxy.pipeline.decision import Accept, Decision, Reason
from authproxy.pipeline.nodes import Nodes
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
    PrimaryChallenge,
    Refused,
    Verified,
)
from authproxy.pipeline.record import Facts
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import read_username
from authproxy.secret import Secret

T = TypeVar("T")

OPEN = (Reason.FAIL_OPEN, Reason.PRIMARY_ONLY)
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

    answer: Verified | Refused | PrimaryChallenge | Exception = field(
        default_factory=lambda: Verified("alice", "uid=alice")
    )
    asked: list[bytes] = field(default_factory=list)

    async def verify(self, request: AuthRequest, password: Secret) -> Verified | Refused | PrimaryChallenge:
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
    disagrees: str = ""  # what the independent look says against an outage
    asked: list[str] = field(default_factory=list)
    ordered: bool = False  # primary-only
    seen: list[str] = field(default_factory=list)  # with both factors

    async def may_open(self, request: AuthRequest, verified: Verified, failure: CloudFailure) -> str:
        self.asked.append(verified.username)
        return self.shut

    async def primary_only(self, request: AuthRequest, verified: Verified) -> bool:
        return self.ordered

    def passed(self, username: str) -> None:
        self.seen.append(username)

    async def is_outage(self, request: AuthRequest, failure: CloudFailure) -> str:
        return self.disagrees


@dataclass
class Record:
    """Remembers; refuses to write down an open door when `full`."""

    full: bool = False
    primary: list[bool] = field(default_factory=list)
    decisions: list[tuple[Decision, Facts]] = field(default_factory=list)

    def primary_answered(self, request: AuthRequest, facts: Facts, verified: bool) -> None:
        self.primary.append(verified)

    def decided(self, request: AuthRequest, facts: Facts, decision: Decision) -> None:
        if self.full and isinstance(decision, Accept) and decision.reason in OPEN:
            raise AuditUnavailable("disk full")
        self.decisions.append((decision, facts))


class Seal:
    """Keeps the port's promise with a MAC; what it seals is readable, which tests are glad of."""

    def length(self, octets: int) -> int:
        return octets + 20

    def __init__(self, key: bytes = b"k") -> None:
        self._key = key

    def is_own(self, token: bytes) -> bool:
        return token.startswith(b"SEAL")

    def seal(self, octets: bytes) -> bytes:
        return b"SEAL" + self._mac(octets) + octets

    def open(self, token: bytes) -> bytes | None:
        mac, octets = token[4:20], token[20:]
        return octets if self.is_own(token) and hmac.compare_digest(mac, self._mac(octets)) else None

    def _mac(self, octets: bytes) -> bytes:
        return hmac.digest(self._key, octets, "sha256")[:16]


@dataclass
class WallClock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def challenges(
    seal: Seal | None = None,
    wall_clock: WallClock | None = None,
    clock: WallClock | None = None,
    memory: Memory | None = None,
    nodes: Nodes | None = None,
) -> Challenges:
    ids = itertools.count(1)
    return Challenges(
        seal or Seal(),
        lifetime=300,
        wall_clock=wall_clock or WallClock(),
        new_id=lambda: next(ids).to_bytes(8, "big"),
        clock=clock or WallClock(),
        memory=memory,
        nodes=nodes,
    )
