"""One login, one push: joining, denials, bugs."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any

import pytest

from authproxy.pipeline.decision import Accept, Decision, Reason, Reject
from authproxy.pipeline.logins import Logins
from authproxy.pipeline.request import AuthRequest

from .fakes import request


class Pending:
    """Something to await that the test completes."""

    def __init__(self) -> None:
        self.result: Decision | Exception | None = None

    def __await__(self) -> Generator[None, None, Decision]:
        while self.result is None:
            yield
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Authenticator:
    def __init__(self) -> None:
        self.pending: list[Pending] = []
        self.rejected: list[tuple[Reason, str]] = []

    def begin(self) -> None: ...

    def end(self) -> None: ...

    async def authenticate(self, request: AuthRequest) -> Decision:
        pending = Pending()
        self.pending.append(pending)
        return await pending

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject:
        self.rejected.append((reason, cause))
        return Reject(reason)


class Desk:
    def __init__(self, denial_memory: float = 30.0) -> None:
        self.now = 0.0
        self.authenticator = Authenticator()
        self.bugs: list[Exception] = []
        self.joins: list[tuple[str, str]] = []
        self.answers: list[Decision] = []
        self.work: list[Coroutine[Any, Any, None]] = []
        self.logins = Logins(
            self.authenticator,
            key=b"k" * 32,
            denial_memory=denial_memory,
            clock=lambda: self.now,
            failed=lambda request, error: self.bugs.append(error),
            joined=lambda new, waiting: self.joins.append((new.login, waiting.login)),
        )

    def ask(self, **changes: Any) -> None:
        work = self.logins.submit(request(**changes), self.answers.append)
        if work is not None:
            work.send(None)
            self.work.append(work)

    def finish(self, result: Decision | Exception, which: int = -1) -> None:
        self.authenticator.pending[which].result = result
        with pytest.raises(StopIteration):
            self.work[which].send(None)


def test_the_same_login_joins_and_gets_the_same_answer() -> None:
    """R46: whatever packet, NAS or port it came by."""
    desk = Desk()
    desk.ask(login="A")
    desk.ask(login="B", client="other", nas_ip="10.9.9.9", carried="another packet")
    desk.ask(login="C")
    assert desk.joins == [("B", "A"), ("C", "A")]
    assert desk.answers == []
    desk.finish(Accept(Reason.BOTH_FACTORS))
    assert desk.answers == [Accept(Reason.BOTH_FACTORS)] * 3
    assert len(desk.authenticator.pending) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"password": b"wrong"},
        {"username": "bob"},
        {"section": "other"},
        {"calling_station": b"192.0.2.7"},
        {"state": b"of another challenge"},  # or one push would answer two of them (R39)
        {"client_ip": "192.0.2.1"},  # the cloud's rules go by it, and not every NAS says Calling-Station-Id
        {"opaque": True},  # octets of a proof, which goes over the wire readable, typed as a password
        {"can_challenge": True},
        {"shown": b"Service-Type = Administrative"},  # a RADIUS primary may say no to it
    ],
)
def test_a_different_login_does_not_join(other: dict[str, Any]) -> None:
    """R46: a different password must not join; each part of the identity is its own."""
    desk = Desk()
    desk.ask()
    desk.ask(**other)
    assert desk.joins == []
    assert len(desk.authenticator.pending) == 2


def test_an_answer_joins_only_from_the_client_that_was_asked() -> None:
    """R39: a State is bound to its client; a stranger's would be refused, and must not go in beside it."""
    desk = Desk()
    desk.ask(state=b"S")
    desk.ask(state=b"S", client="other")
    assert desk.joins == []
    desk.ask(login="again", state=b"S", nas_ip="10.9.9.9")
    assert desk.joins == [("again", "L1")]


@pytest.mark.parametrize("same", [True, False])
def test_who_comes_after_a_reload_joins_where_it_changes_nothing(same: bool) -> None:
    """What waits was decided by other rules; it goes on (A13), and who comes now gets what the rules of now say."""
    desk = Desk()
    desk.ask(login="before")
    later = Authenticator()
    desk.logins.use(later, 30.0, same=same)
    desk.ask(login="after")
    assert desk.joins == ([("after", "before")] if same else [])
    assert len(later.pending) == (0 if same else 1)
    desk.finish(Accept(Reason.BOTH_FACTORS), 0)
    assert desk.answers == [Accept(Reason.BOTH_FACTORS)] * (2 if same else 1)
    assert len(desk.logins) == (0 if same else 1)


def test_a_denial_counts_after_a_reload_too() -> None:
    """R47."""
    desk = Desk()
    desk.ask()
    desk.finish(Reject(Reason.FACTOR_DENIED))
    desk.logins.use(later := Authenticator(), 30.0, same=False)
    desk.ask()
    assert (later.pending, later.rejected) == ([], [(Reason.FACTOR_DENIED, "repeated")])


def test_parts_of_the_identity_dont_run_into_each_other() -> None:
    desk = Desk()
    desk.ask(username="alice", password=b"bright")
    desk.ask(username="aliceb", password=b"right")
    assert desk.joins == []


def test_an_answered_login_is_asked_anew() -> None:
    desk = Desk()
    desk.ask()
    desk.finish(Accept(Reason.BOTH_FACTORS))
    desk.ask()
    assert len(desk.authenticator.pending) == 2


@pytest.mark.parametrize("reason", [Reason.FACTOR_DENIED, Reason.FRAUD])
def test_retries_after_a_denial_push_no_more(reason: Reason) -> None:
    """R47: ten automatic retries cost one push."""
    desk = Desk()
    desk.ask()
    desk.finish(Reject(reason))
    for _ in range(10):
        desk.now += 1
        desk.ask()
    assert desk.answers == [Reject(reason)] * 11
    assert len(desk.authenticator.pending) == 1
    desk.now += 30
    desk.ask()
    assert len(desk.authenticator.pending) == 2


@pytest.mark.parametrize(("denial_memory", "seconds"), [(30.0, 5), (2.0, 2), (0.0, 0)])
def test_who_missed_the_push_may_ask_again(denial_memory: float, seconds: float) -> None:
    """R47: the appliance's own retry pushes nobody, the user who types the password again is asked again."""
    desk = Desk(denial_memory)
    desk.ask()
    desk.finish(timeout := Reject(Reason.FACTOR_TIMEOUT))
    if seconds:
        desk.now += seconds - 0.5
        desk.ask()
        assert desk.answers == [timeout] * 2
        desk.now += 0.5
    desk.ask()
    assert len(desk.authenticator.pending) == 2


def test_a_wrong_password_is_not_remembered() -> None:
    """The user mends a typo at once; and the directory's answer is the directory's to give."""
    desk = Desk()
    desk.ask()
    desk.finish(Reject(Reason.PRIMARY_REJECTED))
    desk.ask()
    assert len(desk.authenticator.pending) == 2


def test_a_bug_rejects_and_is_told() -> None:
    """A19: never an Accept, never a login that waits for ever."""
    desk = Desk()
    desk.ask()
    desk.ask()
    desk.finish(KeyError("oops"))
    assert desk.answers == [Reject(Reason.INTERNAL)] * 2
    assert [type(bug) for bug in desk.bugs] == [KeyError]
    assert desk.authenticator.rejected == [(Reason.INTERNAL, "KeyError")]
    assert len(desk.logins) == 0


def test_cancelled_work_rejects_everyone() -> None:
    desk = Desk()
    desk.ask()
    desk.work[0].close()
    assert desk.answers == [Reject(Reason.INTERNAL)]
    assert len(desk.logins) == 0


def test_denials_are_bounded() -> None:
    desk = Desk()
    for number in range(16_500):
        desk.ask(username=f"u{number}")
        desk.finish(Reject(Reason.FACTOR_DENIED))
    assert len(desk.logins._denied) <= 16_384


def test_another_configuration_is_for_later_logins() -> None:
    """A13: what waits ends as it began, and is joined still."""
    desk = Desk()
    desk.ask(login="A")
    later = Authenticator()
    desk.logins.use(later, 30.0, same=True)
    desk.ask(login="B")
    assert desk.joins == [("B", "A")]
    desk.ask(username="bob")
    assert len(later.pending) == 1
    desk.finish(Accept(Reason.BOTH_FACTORS), 0)
    assert desk.answers == [Accept(Reason.BOTH_FACTORS)] * 2
