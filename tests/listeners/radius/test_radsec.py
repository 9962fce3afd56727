"""RADIUS over TLS: who is believed, what ends a connection, how much may be open, for how long (R53, R54, A9)."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from authproxy.listeners.radius.radsec import SECRET, StreamLimits
from authproxy.pipeline.decision import Accept, Reason, Silence
from authproxy.protocols.radius.packet import Code
from authproxy.secret import Secret
from tests.backends.certificates import Authority
from tests.listeners.radius.radsec_world import RadSecWorld, Wire
from tests.listeners.radius.world import code, login

ACCEPTED = Accept(Reason.BOTH_FACTORS, "")
DAY = datetime.timedelta(days=1)


def ask(identifier: int = 7, *extra: tuple[int, bytes], signed: bool = True, user: bytes = b"alice") -> bytes:
    return login(b"right", *extra, secret=SECRET, identifier=identifier, signed=signed, user=user).octets


def is_let_through(world: RadSecWorld, wire: Wire) -> bool:
    """Whether a login on this connection becomes one."""
    before = len(world.logins.requests)
    if wire.closed:
        return False
    wire.send(ask())
    return len(world.logins.requests) > before


def test_a_login(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    request = login(b"right", secret=SECRET)
    assert wire.send(request.octets) == []
    (asked,) = world.logins.requests
    assert (asked.client, asked.nas_ip, asked.password) == ("switch", "10.2.0.1", Secret(b"right"))
    world.logins.answer(ACCEPTED)
    (reply,) = wire.read()
    assert code(reply, request, SECRET) == Code.ACCESS_ACCEPT
    assert not wire.closed


def test_unsigned_is_believed_here(tmp_path: Path) -> None:
    """What TLS has carried nobody has changed: no Message-Authenticator is needed, not even beside Proxy-State."""
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    wire.send(ask(1, (33, b"a relay's"), (31, b"192.0.2.7"), signed=False))
    (asked,) = world.logins.requests
    assert asked.client_ip == "192.0.2.7"
    assert world.latches == set()


# ---- who is believed (each of these is a forgery)


def test_no_certificate(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    assert not is_let_through(world, world.connect_without_certificate())
    assert world.causes["tls"] == 1


def test_another_authority(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    forged = Authority(tmp_path / "forged").issue("switch.example", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert not is_let_through(world, world.connect(forged))
    assert world.causes["tls"] == 1


@pytest.mark.parametrize(
    ("names", "more"),
    [
        (["stranger.example"], {}),
        (["*.example"], {}),
        ([], {"common_name": "switch.example"}),
        (["other.example"], {}),
        (["10.2.0.1"], {}),
        (["xswitch.example", "switch.example.com"], {}),
    ],
    ids=["stranger", "wildcard", "common name", "another client's", "its address", "longer names"],
)
def test_another_name(tmp_path: Path, names: list[str], more: dict[str, str]) -> None:
    """The other client's certificate is right, but not from this address."""
    world = RadSecWorld(tmp_path)
    assert not is_let_through(world, world.connect(world.issue(*names, **more)))
    assert world.causes["unknown_client"] == 1
    assert "radius.certificate_unknown" in world.log.events()


def test_the_right_certificate_from_another_place(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    assert not is_let_through(world, world.connect(address="10.3.0.1"))
    assert not is_let_through(world, world.connect(address="10.4.0.1"))
    assert world.causes["unknown_client"] == 2


def test_strangers_get_no_handshake(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    assert world.connect(address="10.4.0.1").client is None


@pytest.mark.parametrize(
    "wrong",
    [{"end": -DAY / 2}, {"begin": DAY / 2, "end": 2 * DAY}, {"usage": ExtendedKeyUsageOID.SERVER_AUTH}],
    ids=["expired", "not yet valid", "a server's"],
)
def test_a_certificate_that_is_no_good(tmp_path: Path, wrong: dict[str, object]) -> None:
    world = RadSecWorld(tmp_path)
    assert not is_let_through(world, world.connect(world.issue("switch.example", **wrong)))
    assert world.causes["tls"] == 1


def test_two_clients_in_one_certificate(tmp_path: Path) -> None:
    """It could be either, so it is neither."""
    world = RadSecWorld(tmp_path)
    world.known["second"] = ("10.2.0.0/16", "second.example")
    world.port.serve(world.plan())
    both = world.issue("switch.example", "second.example")
    assert not is_let_through(world, world.connect(both))
    assert is_let_through(world, world.connect(world.issue("second.example")))


def test_by_fingerprint_and_by_address(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    nameless = world.issue()
    print_ = x509.load_pem_x509_certificate(nameless.read_bytes()).fingerprint(hashes.SHA256()).hex()
    world.known = {"switch": ("10.2.0.0/24", f"sha256:{print_} 192.0.2.9")}
    world.port.serve(world.plan())
    assert is_let_through(world, world.connect(nameless))
    assert is_let_through(world, world.connect(world.issue("192.0.2.9")))
    assert not is_let_through(world, world.connect(world.issue()))


@pytest.mark.parametrize(
    ("version", "spoken"),
    [(SSL.TLS1_1_VERSION, False), (SSL.TLS1_2_VERSION, True), (SSL.TLS1_3_VERSION, True)],
    ids=["1.1", "1.2", "1.3"],
)
def test_versions(tmp_path: Path, version: int, spoken: bool) -> None:
    """T3; what is refused with one version is refused with the other."""
    world = RadSecWorld(tmp_path)
    assert is_let_through(world, world.connect(version=version)) is spoken
    assert not is_let_through(world, world.connect(world.issue("stranger.example"), version=version))
    forged = Authority(tmp_path / "forged").issue("switch.example", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert not is_let_through(world, world.connect(forged, version=version))


def test_plain_radius_on_the_port(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect(shake=False)
    assert wire.transport.server is not None
    wire.transport.server.bio_write(ask())
    wire.pump()
    assert wire.closed
    assert world.logins.requests == []


# ---- the stream


def test_octet_by_octet(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    for octet in ask(1) + ask(2):
        wire.send(bytes((octet,)))
    assert len(world.logins.requests) == 2


def test_two_in_one_segment_answered_in_another_order(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    wire.send(ask(1), ask(2, user=b"bob"))
    world.logins.answer(ACCEPTED, 1)
    world.logins.answer(ACCEPTED, 0)
    assert [reply[1] for reply in wire.read()] == [2, 1]


def test_the_second_of_two_is_bad(tmp_path: Path) -> None:
    """The first is a login, and the connection ends at once: what is behind can't be told apart any more."""
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    bad = bytearray(ask(2))
    bad[21] = 1  # an attribute of length 1
    wire.send(ask(1), bytes(bad), ask(3))
    assert wire.closed
    assert len(world.logins.requests) == 1
    assert world.discards.causes["attribute"] == 1


@pytest.mark.parametrize(
    "octets",
    [b"\x01\x01\x00\x13", b"\x01\x01\x10\x01", login(b"x", secret=Secret(b"another secret")).octets],
    ids=["too short", "too long", "another secret"],
)
def test_what_ends_a_connection(tmp_path: Path, octets: bytes) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    wire.send(octets, ask(1))
    assert wire.closed
    assert world.logins.requests == []
    assert world.causes["malformed"] == 1


def test_an_unknown_code_costs_only_itself(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    wire.send(b"\x28\x01\x00\x14" + bytes(16), ask(1))
    assert not wire.closed
    assert len(world.logins.requests) == 1
    assert world.discards.causes["code"] == 1


def test_status_server(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    request = login(None, user=None, secret=SECRET, code=Code.STATUS_SERVER, identifier=0)
    (reply,) = wire.send(request.octets)
    assert code(reply, request, SECRET) == Code.ACCESS_ACCEPT


def test_no_answer_on_another_connection(tmp_path: Path) -> None:
    """Who comes back with the same identifier is not given the answer of the connection before."""
    world = RadSecWorld(tmp_path)
    first = world.connect()
    first.send(ask(1))
    first.hang_up()
    second = world.connect()
    second.send(ask(1, user=b"bob"))
    world.logins.answer(ACCEPTED, 0)
    assert second.read() == []
    world.logins.answer(ACCEPTED, 1)
    assert len(second.read()) == 1


# ---- limits


def test_so_much_in_flight_and_no_more(tmp_path: Path) -> None:
    """R53: it is read no further, and nothing is lost."""
    world = RadSecWorld(tmp_path, stream=StreamLimits(pending=2))
    wire = world.connect()
    wire.send(ask(1), ask(2, user=b"bob"), ask(3, user=b"carol"))
    assert len(world.logins.requests) == 2
    assert wire.transport.paused
    assert wire.client is not None
    wire.client.dataReceived(ask(4, user=b"dave"))  # what was decrypted before the pause
    assert len(world.logins.requests) == 2
    world.logins.answer(ACCEPTED, 0)
    world.clock.advance(0)
    assert len(world.logins.requests) == 3
    world.logins.answer(ACCEPTED, 1)
    world.clock.advance(0)
    assert len(world.logins.requests) == 4


def test_silence_is_the_end_of_a_request(tmp_path: Path) -> None:
    """`failmode: silent`: what gets no answer must not fill the connection for good, nor keep it from ending."""
    world = RadSecWorld(tmp_path, stream=StreamLimits(pending=2))
    wire = world.connect()
    for number in range(3):
        wire.send(ask(number, user=b"user%d" % number))
        assert len(world.logins.requests) == number + 1
        world.logins.answer(Silence(Reason.FAIL_CLOSED))
    assert not wire.transport.paused
    assert world.port.packets.pending == 0
    world.port.drain()
    assert wire.closed


def test_identifiers_used_twice_count_twice(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path, stream=StreamLimits(pending=2))
    wire = world.connect()
    wire.send(*[ask(1, user=name) for name in (b"a", b"b", b"c")])
    assert len(world.logins.requests) == 2


def test_a_client_that_does_not_read(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    wire.transport.producer.pauseProducing()
    wire.send(ask(1))
    assert world.logins.requests == []
    wire.transport.producer.resumeProducing()
    wire.pump()
    assert len(world.logins.requests) == 1
    wire.transport.producer.pauseProducing()
    world.seconds(32)
    assert world.causes["stalled"] == 1
    assert wire.closed


def test_a_handshake_that_does_not_end(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect(shake=False)
    world.seconds(12)
    assert wire.closed
    assert world.causes["handshake"] == 1


def test_a_packet_that_drips(tmp_path: Path) -> None:
    """A6: each octet is progress, and the packet's time is up all the same."""
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    for octet in ask(1)[:14]:
        if not wire.closed:
            wire.send(bytes((octet,)))
        world.seconds(1)
    assert world.causes["slow"] == 1


def test_idle(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path, stream=StreamLimits(idle=60))
    wire, waits = world.connect(), world.connect()
    waits.send(ask(1))
    world.seconds(62)
    assert wire.closed
    assert not waits.closed
    assert world.causes == {"idle": 1}


def test_so_many_connections(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path, stream=StreamLimits(connections=3, connections_per_address=2))
    wires = [world.connect(address=f"10.2.0.{host}") for host in (1, 1, 1, 2, 3)]
    assert [wire.closed for wire in wires] == [False, False, True, False, True]
    wires[0].hang_up()
    assert not world.connect(address="10.2.0.3").closed


@pytest.mark.parametrize("crowd", [["10.2.0.1"] * 9, [f"10.2.0.{host}" for host in range(2, 11)]])
def test_who_shows_no_certificate_keeps_nobody_out(tmp_path: Path, crowd: list[str]) -> None:
    """A9: connections that are only begun make room, the oldest first; those of clients never do."""
    world = RadSecWorld(tmp_path, stream=StreamLimits(connections=3, connections_per_address=2))
    known = world.connect()
    begun = [world.connect(address=address, shake=False) for address in crowd]
    assert world.port.connections <= 3
    assert is_let_through(world, known)
    newcomer = world.connect(address="10.2.0.1")
    assert is_let_through(world, newcomer)
    assert world.port.connections <= 3
    assert sum(wire.closed for wire in begun) == world.causes["crowded_out"] > 0
    assert world.connect(address="10.2.0.1").closed, (
        "two of clients are all that there may be from one address"
    )


# ---- reload and goodbye


def test_a_reload_that_changes_nothing(tmp_path: Path) -> None:
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    world.port.serve(world.plan())
    assert is_let_through(world, wire)


def test_a_client_that_is_gone_after_a_reload(tmp_path: Path) -> None:
    """A13: it has its answer still, and may ask nothing more."""
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    wire.send(ask(1))
    del world.known["switch"]
    world.port.serve(world.plan())
    wire.send(ask(2, user=b"bob"))
    assert len(world.logins.requests) == 1
    world.logins.answer(ACCEPTED)
    assert len(wire.read()) == 1
    assert wire.closed
    assert world.causes == {"client_removed": 1}


def test_a_client_with_another_certificate_after_a_reload(tmp_path: Path) -> None:
    """R54: the address may still ask, the certificate may not."""
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    world.known["switch"] = ("10.2.0.0/24", "new.example")
    world.port.serve(world.plan())
    assert not is_let_through(world, wire)
    assert wire.closed
    assert is_let_through(world, world.connect(world.issue("new.example")))


def test_an_authority_that_is_gone_after_a_reload(tmp_path: Path) -> None:
    """R54: certificates are looked at again."""
    world = RadSecWorld(tmp_path)
    wire = world.connect()
    world.port.serve(world.plan(Authority(tmp_path / "new", "New").ca))
    assert wire.closed
    assert not is_let_through(world, wire)
    assert not is_let_through(world, world.connect())


def test_goodbye(tmp_path: Path) -> None:
    """A12: who waits has the answer; who is idle goes at once; Status-Server is silent."""
    world = RadSecWorld(tmp_path)
    idle, waits = world.connect(), world.connect()
    waits.send(ask(1))
    gone: list[None] = []
    world.port.drain().addCallback(gone.append)
    assert idle.closed
    assert world.connect().closed
    assert waits.send(login(None, user=None, secret=SECRET, code=Code.STATUS_SERVER).octets) == []
    waits.send(ask(2, user=b"bob"))
    assert len(world.logins.requests) == 1
    world.logins.answer(ACCEPTED)
    assert len(waits.read()) == 1
    assert waits.closed
    idle.hang_up()
    waits.hang_up()
    assert gone == [None]
