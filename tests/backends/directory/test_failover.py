"""Hosts that die, hang, drip and lie (A5, A6): who is asked next, how often a password is tried, how long it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from authproxy.backends.directory.hosts import State
from authproxy.backends.directory.settings import Limits
from authproxy.backends.lockout import LockoutRules
from authproxy.pipeline.ports import PrimaryUnavailable, Refused, Verified
from authproxy.protocols.ldap.responses import BindResponse, Result, encode_response, notice_of_disconnection

from .fakes import ONE, PEOPLE, TWO, Session, desk, two_hosts
from .network import BLACK_HOLE

ALICE = Verified("alice", f"CN=alice,{PEOPLE}")
TIMEOUT = 10.0  # DirectorySettings.timeout


def users_only(answer: Callable[[Session, Any, Any], None]) -> Callable[[Session, Any, Any], bool]:
    """Instead of the answer to a person's bind."""

    def on_bind(session: Session, frame: Any, asked: Any) -> bool:
        if asked.name.startswith("CN=svc"):
            return False
        answer(session, frame, asked)
        return True

    return on_bind


def reset(session: Session, frame: Any, asked: Any) -> None:
    session.transport.abortConnection()


def close(session: Session, frame: Any, asked: Any) -> None:
    session.transport.loseConnection()


def silence(session: Session, frame: Any, asked: Any) -> None:
    pass


def notice(session: Session, frame: Any, asked: Any) -> None:
    session.transport.write(notice_of_disconnection(52, "going down"))
    session.transport.loseConnection()


def http(session: Session, frame: Any, asked: Any) -> None:
    session.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def oversized(session: Session, frame: Any, asked: Any) -> None:
    session.transport.write(b"\x30\x84\x7f\xff\xff\xff")


def twice(session: Session, frame: Any, asked: Any) -> None:
    answer = encode_response(frame.message_id, BindResponse(Result(0)))
    session.transport.write(answer + answer)


def to_somebody_else(session: Session, frame: Any, asked: Any) -> None:
    session.transport.write(encode_response(frame.message_id + 1, BindResponse(Result(0))))


def busy(session: Session, frame: Any, asked: Any) -> None:
    session.say(frame, BindResponse(Result(51)))


FAULTS = [reset, close, silence, notice, http, oversized, twice, to_somebody_else, busy]


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unanswered_bind_goes_to_the_next_host_once(fault: Any) -> None:
    made = two_hosts()
    made.one.on_bind = users_only(fault)
    assert made.verify() == ALICE
    assert len(made.one.user_binds()) == 1
    assert len(made.two.user_binds()) == 1
    assert made.network.seconds() <= TIMEOUT


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lone_host_that_gives_no_answer(fault: Any) -> None:
    """At most one attempt at any server: no second one on a new connection."""
    made = desk()
    made.one.on_bind = users_only(fault)
    with pytest.raises(PrimaryUnavailable):
        made.verify()
    assert len(made.one.user_binds()) == 1
    assert made.network.seconds() <= TIMEOUT


def test_a_refusal_is_final() -> None:
    """A5: else a wrong password counts once at every domain controller."""
    made = two_hosts()
    assert made.verify(password=b"wrong") == Refused("bad_password")
    assert made.verify("nobody") == Refused("unknown_user")
    assert len(made.one.user_binds()) == 1
    assert made.two.binds == []


def test_a_dead_host_costs_once() -> None:
    made = two_hosts()
    made.network.listening[ONE.address, ONE.port] = BLACK_HOLE
    assert made.verify() == ALICE
    first = made.network.seconds()
    assert first <= TIMEOUT / 2
    made.network.advance(6)  # the probe has given up by now
    began = made.network.seconds()
    for _ in range(3):
        assert made.verify() == ALICE
    assert made.network.seconds() == began
    assert made.directory.health().hosts[0].state is State.DOWN


def test_a_refused_connection_costs_nothing() -> None:
    made = two_hosts()
    made.down(ONE)
    assert made.verify() == ALICE
    assert made.network.seconds() == 0


def test_a_host_that_comes_back_is_found_by_a_probe() -> None:
    made = two_hosts()
    made.down(ONE)
    made.verify()
    made.network.settle()
    assert made.directory.health().hosts[0].state is State.DOWN
    made.network.listening[ONE.address, ONE.port] = made.one
    made.network.advance(1)
    made.network.settle()
    assert made.directory.health().hosts[0].state is State.UP
    assert made.verify() == ALICE
    assert len(made.one.user_binds()) == 1


def test_probes_are_patient_and_alone() -> None:
    """One prober, at growing intervals, whatever the logins do."""
    made = desk()
    made.down(ONE)
    for _ in range(100):
        with pytest.raises(PrimaryUnavailable):
            made.verify()
    attempts = len(made.network.attempts)
    assert attempts <= 3  # one login, one probe for it, one more when the next login found nobody
    for _ in range(600):
        made.network.advance(1)
    assert len(made.network.attempts) - attempts <= 25


def test_probes_try_no_password() -> None:
    made = desk()
    made.down(ONE)
    with pytest.raises(PrimaryUnavailable):
        made.verify()
    made.network.listening[ONE.address, ONE.port] = made.one
    for _ in range(5):
        made.network.advance(1)
    assert made.directory.health().hosts[0].state is State.UP
    assert made.one.binds == []
    assert [session.operations for session in made.one.sessions] == [["SearchRequest", "UnbindRequest"]]


def test_logins_with_nowhere_to_go_wait_for_one_probe() -> None:
    made = desk()
    made.down(ONE)
    with pytest.raises(PrimaryUnavailable):
        made.verify()
    for _ in range(20):
        made.network.advance(1)
    assert made.directory.health().hosts[0].state is State.DOWN
    made.network.listening[ONE.address, ONE.port] = made.one
    outcomes = [made.network.begin(made.asked()) for _ in range(20)]
    made.network.wait_for(lambda: all(outcomes))
    assert [outcome[0] for outcome in outcomes] == [ALICE] * 20
    probes = [session for session in made.one.sessions if not session.operations.count("BindRequest")]
    assert len(probes) == 1


def test_all_down_is_said_with_names() -> None:
    made = two_hosts()
    made.down(ONE)
    made.down(TWO)
    with pytest.raises(PrimaryUnavailable) as caught:
        made.verify()
    assert "10.0.0.1:389" in str(caught.value)
    assert "10.0.0.2:389" in str(caught.value)
    made.network.settle()
    assert not made.directory.health().ready


def drip(octets: bytes, seconds: float) -> Callable[[Session, Any, Any], None]:
    def answer(session: Session, frame: Any, asked: Any) -> None:
        for at, octet in enumerate(octets or encode_response(frame.message_id, BindResponse(Result(0)))):
            session.fake.network.callLater(at * seconds, session.transport.write, bytes([octet]))

    return answer


def test_a_dripping_answer_doesnt_stretch_the_deadline() -> None:
    """A6: each octet is in time, the answer is not."""
    made = desk()
    made.one.on_bind = users_only(drip(b"", 0.9))
    with pytest.raises(PrimaryUnavailable, match="no answer in time"):
        made.verify()
    assert made.network.seconds() <= TIMEOUT


def test_a_slow_answer_in_time_is_an_answer() -> None:
    made = desk()
    made.one.on_bind = users_only(drip(b"", 0.3))
    assert made.verify() == ALICE


def test_the_login_has_its_own_deadline() -> None:
    made = desk()
    made.one.on_bind = users_only(silence)
    with pytest.raises(PrimaryUnavailable):
        made.verify(deadline=2)
    assert made.network.seconds() <= 2


def test_a_host_that_answers_probes_and_no_logins_is_asked_last() -> None:
    made = two_hosts()
    made.one.on_bind = users_only(silence)
    for _ in range(3):
        assert made.verify() == ALICE
        made.network.settle()
    began = made.network.seconds()
    for _ in range(10):
        assert made.verify() == ALICE
    assert made.network.seconds() == began
    assert made.directory.health().hosts[0].state is State.SUSPECT
    made.one.on_bind = None
    made.network.advance(31)
    assert made.verify() == ALICE


def test_search_that_hangs_goes_to_the_next_host() -> None:
    made = two_hosts()
    made.one.on_search = lambda session, frame, asked: asked.scope == 2
    assert made.verify() == ALICE
    assert made.one.user_binds() == []


def test_more_entries_than_asked_for_is_no_answer() -> None:
    made = two_hosts()

    def flood(session: Session, frame: Any, asked: Any) -> bool:
        if asked.scope != 2:
            return False
        for _ in range(100):
            session.entry(frame, session.fake.entries[1])
        return False

    made.one.on_search = flood
    assert made.verify() == ALICE
    assert made.one.user_binds() == []


def test_an_endless_answer_ends() -> None:
    made = two_hosts()

    def endless(session: Session, frame: Any, asked: Any) -> bool:
        if asked.scope != 2:
            return False

        def more() -> None:
            if session.open:
                for _ in range(100):
                    session.entry(frame, session.fake.entries[1])
                session.fake.network.callLater(0.001, more)

        more()
        return True

    made.one.on_search = endless
    assert made.verify() == ALICE
    assert made.network.seconds() < 1  # by its size, long before its time is up
    made.network.settle()
    assert made.one.open_sessions() == []


# ---- kept connections


def test_connections_are_kept() -> None:
    made = desk()
    for _ in range(10):
        made.verify()
    searching, proving = made.one.sessions
    assert searching.operations == ["BindRequest", "SearchRequest"] + ["SearchRequest"] * 10
    assert proving.operations == ["BindRequest"] * 10


def test_a_persons_connection_does_nothing_but_bind() -> None:
    """What it may see is that person's; nothing of ours is asked there."""
    made = desk(security_group_dn=f"CN=vpn,{PEOPLE}")
    made.one.entries[1].attributes["memberOf"] = [f"cn=vpn,{PEOPLE}"]
    made.verify()
    made.verify("bob", b"bobs")
    proving = [
        session for session in made.one.sessions if (f"CN=alice,{PEOPLE}", b"right") in made.one.binds
    ][1]
    assert set(proving.operations) == {"BindRequest"}


def test_one_bind_at_a_time_on_a_connection() -> None:
    """A second one would abandon the first (RFC 4511 §4.2.1)."""
    made = desk()
    outcomes = [made.network.begin(made.asked()) for _ in range(5)]
    made.network.wait_for(lambda: all(outcomes))
    assert [outcome[0] for outcome in outcomes] == [ALICE] * 5
    proving = [session for session in made.one.sessions if "SearchRequest" not in session.operations]
    assert 1 <= len(proving) <= 5
    assert sum(session.operations.count("BindRequest") for session in proving) == 5


def test_connections_are_bounded_and_the_rest_waits() -> None:
    made = desk(limits=Limits(service_connections=2, user_connections=3, waiting=100))
    outcomes = [made.network.begin(made.asked()) for _ in range(50)]
    made.network.wait_for(lambda: all(outcomes))
    assert [outcome[0] for outcome in outcomes] == [ALICE] * 50
    assert len(made.one.sessions) <= 5


def test_a_full_queue_sheds_and_blames_nobody() -> None:
    # One user's attempts would wait for each other before that (A10).
    made = desk(limits=Limits(user_connections=1, waiting=2), lockout=LockoutRules(0))
    made.one.on_bind = users_only(silence)
    outcomes = [made.network.begin(made.asked()) for _ in range(6)]
    made.network.settle()
    shed = [outcome[0] for outcome in outcomes if outcome]
    assert len(shed) == 3
    assert all("wait for a connection already" in str(each.value) for each in shed)
    assert made.directory.health().hosts[0].state in (State.UNKNOWN, State.UP)


def test_an_idle_connection_is_closed_before_the_server_does() -> None:
    made = desk()
    made.verify()
    made.network.advance(61)
    made.network.settle()
    searching, proving = made.one.sessions
    assert searching.open
    assert proving.unbound
    for _ in range(3):
        made.network.advance(600)
    made.network.settle()
    assert searching.unbound
    assert made.verify() == ALICE


def test_an_old_connection_is_replaced() -> None:
    made = desk()
    for _ in range(80):
        made.verify()
        made.network.advance(50)
    assert len(made.one.sessions) == 4


def test_a_connection_that_the_server_closed_isnt_used() -> None:
    made = desk()
    made.verify()
    for session in made.one.sessions:
        session.transport.loseConnection()
    made.network.settle()
    assert made.verify() == ALICE


@pytest.mark.parametrize(
    "stray", [notice_of_disconnection(52), b"\x30", b"HTTP", b"\x30\x05\x02\x01\x07\x42\x00"]
)
def test_octets_that_nobody_asked_for_end_a_connection(stray: bytes) -> None:
    made = desk()
    made.verify()
    for session in made.one.sessions:
        session.transport.write(stray)
    made.network.settle()
    assert made.one.open_sessions() == []
    assert made.verify() == ALICE


def test_closing() -> None:
    made = two_hosts()
    made.verify()
    made.down(TWO)
    made.directory.start()
    made.network.run(made.directory.close())
    made.network.settle()
    assert made.one.open_sessions() == []
    made.network.advance(3600)
    assert made.network.getDelayedCalls() == []


def test_a_login_that_is_cancelled_leaves_no_bind_behind() -> None:
    """Its connection waits for an answer; whoever used it next would take that answer for their own."""
    from twisted.internet.defer import Deferred

    made = desk()
    made.one.on_bind = users_only(silence)
    outcome: list[Any] = []
    login = Deferred.fromCoroutine(made.asked())
    login.addBoth(outcome.append)
    made.network.wait_for(lambda: bool(made.one.user_binds()))
    login.cancel()
    made.network.settle()
    assert outcome != []
    made.one.on_bind = None
    assert made.verify("bob", b"wrong") == Refused("bad_password")
    assert made.verify() == ALICE
    proving = [session for session in made.one.sessions if "SearchRequest" not in session.operations]
    assert len(proving) == 2


def test_starting_asks_every_host() -> None:
    made = two_hosts()
    made.down(TWO)
    assert [host.state for host in made.directory.health().hosts] == [State.UNKNOWN] * 2
    made.directory.start()
    made.network.settle()
    assert [host.state for host in made.directory.health().hosts] == [State.UP, State.DOWN]
    assert made.one.binds == []
