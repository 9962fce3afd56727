"""What goes back to a NAS, which checks itself that it is signed first, whole and ours (R18, R34, R42)."""

from __future__ import annotations

import secrets

import pytest

from tests.system.bench import wire
from tests.system.bench.journal import CloudRequest, PrimaryBind, RadiusReply, RadiusRequest
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, PROXY_STATE, codes
from tests.system.everyday import LAX, Everyday

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    "states",
    [[], [b"x"], [b"\0"], [b"a", b"a", b"b"], [secrets.token_bytes(253) for _ in range(10)]],
    ids=["none", "one", "NUL", "three", "ten of 253 octets"],
)
def test_proxy_states_come_back(everyday: Everyday, states: list[bytes]) -> None:
    """R34: in Accept, Reject and Challenge, unchanged, in order."""
    user = everyday.user()
    extra = [(PROXY_STATE, value) for value in states]
    for section in (everyday.vpn, everyday.codes):
        nas = everyday.nas(section)
        requests = [
            nas.login(user.user, user.password, *extra),
            nas.login(user.user, everyday.canaries.new("wrong password"), *extra),
        ]
        for request, reply in zip(requests, nas.exchange_all(requests), strict=True):
            assert reply is not None
            assert reply.values(PROXY_STATE) == states == request.values(PROXY_STATE)


def test_a_reply_that_would_be_too_long(everyday: Everyday) -> None:
    """R6: a short Reject instead, signed; never 4097 octets, never an Accept that is cut."""
    user = everyday.user(preauth="allow", status_msg="x" * 900)
    nas = everyday.nas()
    request = nas.login(user.user, user.password, *[(PROXY_STATE, bytes(230))] * 16)
    assert len(request.octets) < 4096
    nas.send(request)
    octets = nas.receive_octets()
    assert len(octets) <= 4096
    assert octets[0] == ACCESS_REJECT
    assert octets[20] == wire.MESSAGE_AUTHENTICATOR
    everyday.wait_log("radius.reply_too_long")


def test_messages_of_the_cloud(everyday: Everyday) -> None:
    """R7: long and in any script, with controls inside: split between letters, and nothing but words."""
    text = "Größe 例え😀" * 60
    user = everyday.user(preauth="deny", status_msg=f"\r\n\x1b[31m{text}\0\x07")
    reply = everyday.nas().ask(user.user, user.password)
    assert reply is not None
    assert text in reply.message
    values = reply.values(wire.REPLY_MESSAGE)
    assert len(values) > 3
    assert all(value.decode() for value in values)


def test_a_reject_takes_its_time(everyday: Everyday) -> None:
    """R48: a second at least from the request, whatever the reason; an Accept doesn't wait."""
    nas = everyday.nas(everyday.usual)
    known = everyday.user()
    denied, disabled = everyday.user(answer="deny"), everyday.user(preauth="deny")
    requests = [
        nas.login("nobody-at-all", everyday.canaries.new("password of nobody")),
        nas.login(known.user, everyday.canaries.new("wrong password")),
        nas.login(denied.user, denied.password),
        nas.login(disabled.user, disabled.password),
        nas.login(known.user, b""),
    ]
    assert codes(nas.exchange_all(requests)) == [ACCESS_REJECT] * len(requests)
    accepted = nas.ask(known.user, known.password)
    replies = everyday.journal.all(RadiusReply, lambda reply: reply.nas == nas.address)
    sent = {event.order: event for event in everyday.journal.all(RadiusRequest)}
    waits: dict[int, list[float]] = {reply.code: [] for reply in replies}
    for reply in replies:
        waits[reply.code].append(reply.at - sent[reply.request].at)
    assert min(waits[ACCESS_REJECT]) >= 1.0
    assert accepted is not None
    assert max(waits[ACCESS_ACCEPT]) < min(waits[ACCESS_REJECT])


def test_status_server(everyday: Everyday) -> None:
    """R50: answered with an Accept that is nobody's login; signed or silence; Proxy-State comes back; no work."""
    before = len(everyday.journal)
    lines = len(everyday.log().splitlines())
    nas = everyday.nas()
    for extra in ([], [(PROXY_STATE, b"one"), (PROXY_STATE, b"two")]):
        reply = nas.exchange(wire.status_server(nas.secret, *extra))
        assert reply is not None
        assert reply.code == ACCESS_ACCEPT
    for _ in range(50):
        assert nas.exchange(wire.status_server(nas.secret), 3)
    assert len(everyday.log().splitlines()) - lines < 20
    assert everyday.journal.all(PrimaryBind, since=before) == []
    assert everyday.journal.all(CloudRequest, lambda r: r.endpoint == "preauth", since=before) == []
    unsigned = wire.access_request(
        b"", None, nas.secret, code=wire.STATUS_SERVER, message_authenticator=False
    )
    assert nas.silent(unsigned, 0.2)
    wrong = wire.status_server(b"another secret")
    assert nas.silent(wrong, 0.2)
    lax = everyday.nas(source=LAX, secret=everyday.secrets[LAX])
    assert lax.silent(unsigned, 0.2)
