"""One login, one push: what a NAS repeats, and what a user's client tries again."""

from __future__ import annotations

import pytest

from tests.system.bench.journal import CloudRequest, RadiusReply
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, CALLING_STATION_ID, codes
from tests.system.everyday import Everyday

pytestmark = pytest.mark.system


def wait_for_push(world: Everyday, user: str, count: int = 1) -> None:
    world.journal.wait(CloudRequest, lambda r: r.user == user and r.endpoint == "auth", count=count)


def test_retransmissions(everyday: Everyday) -> None:
    """R45: silence while it is being answered, then the same octets; one bind, one push."""
    user = everyday.user(answer=None)
    nas = everyday.nas()
    request = nas.login(user.user, user.password)
    for _ in range(5):
        nas.send(request)
    wait_for_push(everyday, user.user)
    nas.send(request)
    assert nas.hears_nothing(0.3)
    everyday.cloud.decide(user.user, "allow")
    reply = nas.receive(request)
    assert reply is not None
    assert reply.code == ACCESS_ACCEPT
    assert nas.hears_nothing(0.3)
    again = nas.exchange(request)
    assert again is not None
    assert again.octets == reply.octets
    assert (len(everyday.binds(user.user)), len(everyday.asked(user.user))) == (1, 1)
    assert len(everyday.asked(user.user, "preauth")) == 1


def test_a_reject_is_repeated_as_well(everyday: Everyday) -> None:
    """R45: a repeated wrong password counts once at the directory."""
    user = everyday.user()
    nas = everyday.nas()
    request = nas.login(user.user, everyday.canaries.new("wrong password"))
    replies = [nas.exchange(request) for _ in range(3)]
    assert codes(replies) == [ACCESS_REJECT] * 3
    assert len({reply.octets for reply in replies if reply}) == 1
    assert len(everyday.binds(user.user)) == 1


def test_the_same_login_anew_joins(everyday: Everyday) -> None:
    """R46: other identifiers, authenticators and ports; another of the proxy's addresses; all get the answer."""
    user = everyday.user(answer=None)
    station = (CALLING_STATION_ID, b"192.0.2.7")
    first, second = everyday.nas(), everyday.nas()
    other = everyday.nas(address="127.0.0.8")
    asked = [
        (nas, nas.login(user.user, user.password, station)) for nas in (first, first, second, other, second)
    ]
    for nas, request in asked:
        nas.send(request)
        wait_for_push(everyday, user.user)
    everyday.cloud.decide(user.user, "allow")
    assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * 5
    assert (len(everyday.binds(user.user)), len(everyday.asked(user.user))) == (1, 1)


def test_denied_logins_that_joined(everyday: Everyday) -> None:
    """R46: the answer is the same for all of them."""
    user = everyday.user(answer=None)
    nas = everyday.nas()
    requests = [nas.login(user.user, user.password) for _ in range(3)]
    for request in requests:
        nas.send(request)
    wait_for_push(everyday, user.user)
    everyday.cloud.decide(user.user, "deny")
    assert codes(nas.receive(request) for request in requests) == [ACCESS_REJECT] * 3
    assert len(everyday.asked(user.user)) == 1


def test_what_differs_does_not_join(everyday: Everyday) -> None:
    """R46: another password is another attempt, and so is another station; nobody gets another's answer."""
    user = everyday.user(answer=None)
    nas = everyday.nas()
    laptop = nas.login(user.user, user.password, (CALLING_STATION_ID, b"192.0.2.7"))
    nas.send(laptop)
    wait_for_push(everyday, user.user)
    wrong = nas.login(user.user, everyday.canaries.new("wrong password"), (CALLING_STATION_ID, b"192.0.2.7"))
    phone = nas.login(user.user, user.password, (CALLING_STATION_ID, b"192.0.2.8"))
    nas.send(wrong)
    nas.send(phone)
    assert codes([nas.receive(wrong)]) == [ACCESS_REJECT]
    # Of a user's prompts one is out at a time (A11).
    for count, request in ((1, laptop), (2, phone)):
        wait_for_push(everyday, user.user, count)
        everyday.cloud.decide(user.user, "allow")
        assert codes([nas.receive(request)]) == [ACCESS_ACCEPT]
    assert len(everyday.asked(user.user)) == 2


def test_nobody_joins_from_another_section(everyday: Everyday) -> None:
    """Each section is an application of its own at the cloud."""
    user = everyday.user(answer=None)
    first, second = everyday.nas(), everyday.nas(everyday.safe)
    one, other = first.login(user.user, user.password), second.login(user.user, user.password)
    first.send(one)
    wait_for_push(everyday, user.user)
    second.send(other)
    everyday.cloud.decide(user.user, "allow")
    assert codes([first.receive(one)]) == [ACCESS_ACCEPT]
    wait_for_push(everyday, user.user, 2)
    everyday.cloud.decide(user.user, "allow")
    assert codes([second.receive(other)]) == [ACCESS_ACCEPT]


@pytest.mark.parametrize("verdict", ["deny", "timeout", "fraud"])
def test_retries_after_a_denial_push_nobody(everyday: Everyday, verdict: str) -> None:
    """R47: ten retries in a row, one push; another password is another attempt."""
    user = everyday.user(answer=verdict)
    nas = everyday.nas()
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_REJECT]
    retries = [nas.login(user.user, user.password) for _ in range(10)]
    assert codes(nas.exchange_all(retries)) == [ACCESS_REJECT] * 10
    assert (len(everyday.binds(user.user)), len(everyday.asked(user.user))) == (1, 1)
    everyday.cloud.users[user.user].answer = "allow"
    everyday.cloud.users[user.user].passcodes = {code := everyday.canaries.passcode("passcode")}
    assert codes([nas.ask(user.user, f"{user.password},{code}")]) == [ACCESS_ACCEPT]


def test_a_wrong_password_is_not_remembered(everyday: Everyday) -> None:
    """R47 is about pushes: who corrects the password gets in at once."""
    user = everyday.user()
    nas = everyday.nas()
    assert codes([nas.ask(user.user, everyday.canaries.new("wrong password"))]) == [ACCESS_REJECT]
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]


def test_an_identifier_used_anew(everyday: Everyday) -> None:
    """R45, R49: the NAS has given the first up; only the newer one is answered, and never with the other's octets."""
    first_user, second_user = everyday.user(answer=None), everyday.user(answer=None)
    nas = everyday.nas()
    first = nas.login(first_user.user, first_user.password, identifier=77)
    second = nas.login(second_user.user, second_user.password, identifier=77)
    nas.send(first)
    wait_for_push(everyday, first_user.user)
    nas.send(second)
    wait_for_push(everyday, second_user.user)
    everyday.cloud.decide(first_user.user, "allow")
    assert nas.hears_nothing(0.5)
    everyday.cloud.decide(second_user.user, "allow")
    assert codes([nas.receive(second)]) == [ACCESS_ACCEPT]
    late = everyday.journal.all(RadiusReply, lambda reply: reply.nas == nas.address)
    assert len(late) == 1
    everyday.wait_log("radius.answered_late")
