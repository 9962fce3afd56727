"""What the listener sees of its clients' patience: repetitions of a datagram, and the same login asked anew."""

from __future__ import annotations

import pytest

from authproxy.pipeline.decision import Accept, Reason, Silence
from authproxy.pipeline.patience import ClientPatience
from authproxy.protocols.radius.packet import Malformed, MalformedPacket
from tests.listeners.radius.world import World, login

ACCEPTED = Accept(Reason.BOTH_FACTORS, "")


@pytest.mark.parametrize("anew", [False, True], ids=["retransmission", "new identifier"])
def test_a_client_that_gives_up(anew: bool) -> None:
    """Three questions 5 s apart, then nothing; the push is approved after 40 s: three times, and it is known."""
    world = World()
    for number in range(3):
        request = login(identifier=number)
        for again in range(3):
            world.ask(login(identifier=10 * number + again) if anew else request)
            world.wait(5 if again < 2 else 30)
        for answer in world.logins.answers:
            answer(ACCEPTED)
        world.logins.answers.clear()
        world.wait(60)
    (known,) = world.patiences.report()
    assert known == ClientPatience("asa", 5, 15, 0)
    assert len(world.patiences) == 0


def test_a_client_that_waits() -> None:
    world = World()
    request = login()
    for _ in range(9):
        world.ask(request)
        world.wait(5)
    world.logins.answer(ACCEPTED)
    assert world.patiences.report() == [ClientPatience("asa", 5, None, 45)]


def test_what_is_over_is_not_watched() -> None:
    """A repetition of what was answered, another user's login, and packets that are no login."""
    world = World(clients=[])
    world.ask(login())
    assert len(world.patiences) == 0
    world = World()
    request = login()
    world.ask(request)
    world.ask(login(user=b"bob", identifier=9))
    assert len(world.patiences) == 2
    world.logins.answer(ACCEPTED, 0)
    world.logins.answer(ACCEPTED, 1)
    world.ask(request)
    world.logins.raises = MalformedPacket(Malformed.ATTRIBUTE, "as the section says")
    world.ask(login(identifier=11))
    assert world.discards.causes == {"attribute": 1}
    assert len(world.patiences) == 0
    assert world.patiences.report() == []


def test_who_gets_no_answer_is_not_watched() -> None:
    """`failmode: silent`: anybody's EAP can ask for it, under any number of names."""
    world = World()
    for number in range(5):
        world.ask(login(user=b"user%d" % number, identifier=number))
        world.logins.answer(Silence(Reason.FAIL_CLOSED))
    assert len(world.patiences) == 0
    assert world.patiences.report() == []
