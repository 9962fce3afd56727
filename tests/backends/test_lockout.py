"""Fewer wrong passwords than lock an account, and none of its owner's logins in the way (A10)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.backends import lockout
from authproxy.backends.directory.names import bare
from authproxy.backends.lockout import HELD, LockoutGuard, LockoutRules
from authproxy.pipeline.ports import PrimaryUnavailable
from tests.listeners.radius.world import Log

RULES = LockoutRules(most=4, window=900)


class Desk:
    """`asked`: the proofs that are on their way to the directory."""

    def __init__(self, rules: LockoutRules = RULES) -> None:
        self.clock = Clock()
        self.log = Log()
        self.guard = LockoutGuard(rules, section="ad_client", reactor=self.clock, log=self.log)
        self.asked: list[Deferred[str]] = []

    def begin(self, place: str = "", user: str = "alice", deadline: float = 30) -> Deferred[Any]:
        async def prove() -> str:
            asked: Deferred[str] = Deferred()
            self.asked.append(asked)
            return await asked

        def cause(proof: str) -> str | None:
            return None if proof == "right" else proof

        work: Coroutine[Any, Any, Any] = self.guard.attempt(
            user, place, self.clock.seconds() + deadline, prove, cause
        )
        return Deferred.fromCoroutine(work)

    def attempt(self, proof: str = "bad_password", place: str = "", user: str = "alice") -> object:
        before = len(self.asked)
        answer = self.begin(place, user)
        if len(self.asked) > before:
            self.asked[-1].callback(proof)
        return answer.result

    def tried(self) -> int:
        return len(self.asked)


def test_a_thousand_guesses_at_one_user() -> None:
    desk = Desk()
    answers = [desk.attempt(place=f"192.0.2.{number}") for number in range(1000)]
    assert answers == ["bad_password"] * 3 + [HELD] * 997
    assert desk.tried() == 3
    assert desk.log.events() == ["login.user_held"]


def test_a_thousand_at_once() -> None:
    """None of them is a way around the count: what isn't decided may be wrong."""
    desk = Desk()
    answers = [desk.begin() for _ in range(1000)]
    assert desk.tried() == 3
    for asked in desk.asked:
        asked.callback("bad_password")
    assert [answer.result for answer in answers] == ["bad_password"] * 3 + [HELD] * 997
    assert desk.tried() == 3


def test_a_thousand_right_ones_at_once() -> None:
    """An application's own account, bound by a pool of connections: they only take turns."""
    desk = Desk()
    answers = [desk.begin("10.0.0.1") for _ in range(1000)]
    for asked in desk.asked:  # grows while it goes
        asked.callback("right")
    assert [answer.result for answer in answers] == ["right"] * 1000


def test_who_waits_too_long_gets_no_verdict() -> None:
    desk = Desk()
    answers = [desk.begin(deadline=5) for _ in range(4)]
    desk.clock.advance(5)
    with pytest.raises(PrimaryUnavailable):
        answers[3].result.raiseException()
    answers[3].addErrback(lambda _: None)
    for asked in desk.asked:
        asked.callback("right")
    assert [answer.result for answer in answers[:3]] == ["right"] * 3


def test_a_known_place_has_one_more() -> None:
    """Whoever guesses from elsewhere can't keep the user out, and all together stay below the limit."""
    desk = Desk()
    assert desk.attempt("right", "home") == "right"
    for number in range(10):
        desk.attempt(place=f"192.0.2.{number}")
    assert desk.tried() == 1 + 3
    assert desk.attempt("right", "home") == "right"
    for number in range(10):
        desk.attempt(place=f"192.0.2.{number}")
    assert desk.attempt("bad_password", "home") == "bad_password"
    assert desk.attempt("right", "home") is HELD
    assert desk.tried() == 2 + 3 + 3 + 1


def test_it_ends() -> None:
    desk = Desk()
    for _ in range(3):
        desk.attempt()
        desk.clock.advance(100)
    assert desk.attempt("right") is HELD
    desk.clock.advance(599)
    assert desk.attempt("right") is HELD
    desk.clock.advance(1)
    assert desk.attempt("right") == "right"


def test_a_right_one_ends_it() -> None:
    desk = Desk()
    for _ in range(10):
        assert desk.attempt() == desk.attempt() == "bad_password"
        assert desk.attempt("right") == "right"


@pytest.mark.parametrize("cause", ["expired", "locked", "must_change", "disabled", ""])
def test_what_says_nothing_of_the_password(cause: str) -> None:
    desk = Desk()
    assert [desk.attempt(cause) for _ in range(10)] == [cause] * 10


def test_no_verdict_counts_nothing_and_keeps_nobody_waiting() -> None:
    desk = Desk()
    for _ in range(10):
        answers = [desk.begin() for _ in range(4)]
        for asked in desk.asked[-3:]:
            asked.errback(OSError("gone"))
        desk.asked[-1].errback(OSError("gone"))
        for answer in answers:
            answer.addErrback(lambda failure: failure.trap(OSError))
    assert desk.attempt("right") == "right"


def test_others_are_not_touched() -> None:
    desk = Desk()
    for _ in range(5):
        desk.attempt()
    assert desk.attempt("right", user="bob") == "right"


def test_switched_off() -> None:
    desk = Desk(LockoutRules(most=0))
    assert [desk.attempt() for _ in range(50)] == ["bad_password"] * 50
    assert len(desk.guard) == 0


def test_a_limit_of_one() -> None:
    desk = Desk(LockoutRules(most=1))
    assert desk.attempt() == "bad_password"
    assert desk.attempt("right") is HELD


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "_MOST_USERS", 100)
    desk = Desk()
    for number in range(1000):
        desk.attempt(user=f"user{number}")
    assert len(desk.guard) == 100
    for number in range(20):
        desk.attempt("right", f"place{number}")
    assert len(desk.guard._users["alice"].places) == 8


@pytest.mark.parametrize(
    "typed",
    ["alice", "ALICE", "alice@corp.test", "CORP\\Alice", "CN=Alice,OU=People,DC=corp", "uid=alice, dc=x"],
)
def test_forms_of_a_bind_name_count_together(typed: str) -> None:
    assert bare(typed) == "alice"


# ---- several nodes


class Others:
    """The store: how it answers an attempt, and what it was told."""

    def __init__(self, token: bytes | None = b"token", part: int = 1) -> None:
        self.token, self.part = token, part
        self.asked: list[tuple[str, str, int, float, float]] = []
        self.told: list[tuple[bytes, str]] = []

    def share(self, most: int) -> int:
        return max(1, most // self.part)

    async def attempt(
        self, primary: str, user: str, most: int, window: float, deadline: float
    ) -> bytes | None:
        self.asked.append((primary, user, most, window, deadline))
        return self.token

    def decided(self, primary: str, user: str, token: bytes, window: float, ended: str) -> None:
        self.told.append((token, ended))


def among(others: Others) -> Desk:
    desk = Desk()
    desk.guard = LockoutGuard(RULES, section="ad_client", reactor=desk.clock, log=desk.log, shared=others)
    return desk


def test_the_other_nodes_are_asked_and_told() -> None:
    others = Others()
    desk = among(others)
    for proof in ("bad_password", "right", "expired"):
        assert desk.attempt(proof, place="10.0.0.1") == proof
    assert others.told == [(b"token", "wrong"), (b"token", "right"), (b"token", "")]
    # The last is for a place that the user has logged in from; of another place, three may be wrong.
    assert [most for _, _, most, _, _ in others.asked] == [3, 3, 4]
    assert others.asked[0][:2] == ("ad_client", "alice")
    assert others.asked[0][4] == 30


def test_what_the_other_nodes_have_counted() -> None:
    """A10: the directory isn't asked, and the log says so once."""
    desk = among(Others(token=None))
    assert [desk.attempt("right") for _ in range(3)] == [HELD] * 3
    assert desk.tried() == 0
    assert desk.log.events() == ["login.user_held"]


def test_an_attempt_that_nobody_could_decide() -> None:
    others = Others()
    desk = among(others)
    answer = desk.begin()
    desk.asked[0].errback(PrimaryUnavailable("gone"))
    answer.addErrback(lambda failure: failure.trap(PrimaryUnavailable))
    assert others.told == [(b"token", "")]


def test_its_own_part_while_the_others_are_out_of_reach() -> None:
    """H5: of four the half; of two the last is for places that are known."""
    desk = among(Others(token=b"", part=2))
    assert [desk.attempt() for _ in range(3)] == ["bad_password", HELD, HELD]
    desk = among(Others(token=b"", part=2))
    assert desk.attempt("right", place="10.0.0.1") == "right"
    assert [desk.attempt(place="10.0.0.1") for _ in range(3)] == ["bad_password", "bad_password", HELD]
