"""R38 to R41: whose a State is, until when, how often, and that nothing else is one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from authproxy.pipeline.challenge import MAX_STATE, Challenges, Forged, Kind, Pending
from authproxy.pipeline.request import AuthRequest

from .fakes import Seal, WallClock, challenges, request

ALICE = Pending(Kind.FACTOR, "alice", 1, "uid=alice", carried="attributes")


def answer(state: bytes, **changes: Any) -> AuthRequest:
    return request(b"123456", state=state, **changes)


def refused(made: Challenges, again: AuthRequest) -> str:
    with pytest.raises(Forged) as forged:
        made.take(again)
    return forged.value.cause


def test_an_answer_continues_the_login_it_was_asked_of() -> None:
    made = challenges()
    assert made.take(answer(made.issue(request(), ALICE))) == ALICE
    assert len(made) == 0


def test_once_only() -> None:
    """R40: a right code after a wrong one needs a challenge of its own."""
    made = challenges()
    state = made.issue(request(), ALICE)
    made.take(answer(state))
    assert refused(made, answer(state)) == "answered"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"username": "bob"}, "another_user"),
        ({"client": "other"}, "another_client"),
        ({"section": "other"}, "another_client"),
    ],
)
def test_nobody_elses(changes: dict[str, str], cause: str) -> None:
    made = challenges()
    state = made.issue(request(), ALICE)
    assert refused(made, answer(state, **changes)) == cause
    assert made.take(answer(state)) == ALICE, "a stranger's try doesn't use it up"


def test_every_octet_counts() -> None:
    made = challenges()
    state = made.issue(request(), ALICE)
    for at in range(len(state)):
        changed = bytearray(state)
        changed[at] ^= 1
        assert refused(made, answer(bytes(changed))) == "unknown"
    assert refused(made, answer(state[:-1])) == "unknown"
    assert refused(made, answer(b"SEAL")) == "unknown"


def test_another_installations_key() -> None:
    state = challenges(Seal(b"theirs")).issue(request(), ALICE)
    assert refused(challenges(Seal(b"ours")), answer(state)) == "unknown"


def test_its_time() -> None:
    clock = WallClock()
    made = challenges(wall_clock=clock)
    state = made.issue(request(), ALICE)
    clock.now += 299
    late = made.issue(request(), ALICE)
    clock.now += 1
    assert refused(made, answer(state)) == "expired"
    assert made.take(answer(late)) == ALICE


def test_a_clock_that_is_set_forth_and_back_makes_no_state_good_twice() -> None:
    """A15: what was answered stays so by a clock that nobody sets."""
    wall, clock = WallClock(), WallClock()
    made = challenges(wall_clock=wall, clock=clock)
    state = made.issue(request(), ALICE)
    made.take(answer(state))
    wall.now += 3600
    made.take(answer(made.issue(request(), ALICE)))  # looks what can be forgotten
    wall.now -= 3600
    assert refused(made, answer(state)) == "answered"
    for one in (wall, clock):
        one.now += 4000
    made.take(answer(made.issue(request(), ALICE)))
    assert len(made._answered) == 1


def test_a_clock_that_is_ahead_prolongs_nothing() -> None:
    """A15: another node's clock may be 60 s ahead, not more."""
    clock = WallClock()
    state = challenges(wall_clock=clock).issue(request(), ALICE)
    assert challenges(wall_clock=WallClock(clock.now - 60)).take(answer(state)).username == "alice"
    assert refused(challenges(wall_clock=WallClock(clock.now - 61)), answer(state)) == "expired"


def test_a_restart_forgets_what_the_primary_sent_but_not_the_login() -> None:
    """H3, H4."""
    state = challenges().issue(request(), ALICE)
    assert challenges().take(answer(state)) == Pending(Kind.FACTOR, "alice", 1, restored=True)


def test_the_longest_name_still_fits() -> None:
    longest = Pending(Kind.FACTOR, "ü" * 126)
    made = challenges()
    state = made.issue(request(), longest)
    assert len(state) <= MAX_STATE
    assert made.take(answer(state)) == longest
    assert refused(challenges(), answer(state)) == "forgotten"


def test_what_expired_is_not_kept() -> None:
    clock = WallClock()
    made = challenges(wall_clock=clock)
    for _ in range(100):
        made.issue(request(), ALICE)
    clock.now += 300
    made.issue(request(), ALICE)
    assert len(made) == 1


def test_which_challenges_await_an_answer() -> None:
    """A1: open ones of ours; not an answered, an expired, or a forged one."""
    clock = WallClock()
    made = challenges(wall_clock=clock)
    answered, late = made.issue(request(), ALICE), made.issue(request(), ALICE)
    assert made.awaits(answered)
    made.take(answer(answered))
    assert not made.awaits(answered)
    assert not made.awaits(late[:-1] + bytes((late[-1] ^ 1,)))
    assert not made.awaits(b"")
    clock.now += 100_000
    assert not made.awaits(late)


# ---- over a restart


def test_what_was_answered_before_the_start() -> None:
    """R40: and what is not known to be."""
    memory = Memory()
    before = challenges(memory=memory)
    answered, waiting = before.issue(request(), ALICE), before.issue(request(), ALICE)
    before.take(answer(answered))
    assert list(memory.known.values()) == [1_000_300]
    after = challenges(memory=memory)
    assert not after.awaits(answered)
    assert after.awaits(waiting)
    assert refused(after, answer(answered)) == "answered"
    assert after.take(answer(waiting)).username == "alice"
    assert refused(challenges(memory=Memory(none_before=1_000_001)), answer(waiting)) == "answered"


@dataclass
class Memory:
    known: dict[bytes, int] = field(default_factory=dict)
    none_before: int = 0

    def add(self, identifier: bytes, expires: int) -> None:
        self.known[identifier] = expires
