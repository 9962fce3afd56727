"""An LDAP section as a process: clients that break off, don't read, inject or are many, a directory that goes."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.requests import (
    START_TLS,
    ExtendedRequest,
    Scope,
    SearchRequest,
    UnbindRequest,
    encode_request,
)
from authproxy.protocols.ldap.responses import decode_response
from tests.system.bench.directory import BASE
from tests.system.bench.loop import Fault
from tests.system.bench.world import Login, World, wait_for
from tests.system.ldap_apps import Wire, add_apps, eventually, result_of, simple
from tests.system.parts.needs import needs
from tests.system.parts.pki import make_certificate

pytestmark = pytest.mark.system

EVERYBODY = SearchRequest(BASE, Scope.SUBTREE)


def dn(login: Login) -> str:
    return f"CN={login.user},OU=People,{BASE}"


def test_binds_by_every_kind_of_name(world: World) -> None:
    apps = add_apps(world)
    alice = world.add_user("alice")
    world.start()
    for number, name in enumerate((dn(alice), "alice@corp.test", dn(alice).upper()), 1):
        with Wire(apps.port) as wire:
            assert wire.bind(name, alice.password) == 0
            assert wire.code(2, EVERYBODY) == 0
        assert len(world.asked("alice")) == number, "always the same user at the cloud"
    with Wire(apps.port) as wire:
        # The directory takes a plain name; who it means by that isn't known.
        assert wire.bind("alice", alice.password) == 49
        assert wire.code(2, EVERYBODY) == 50
    assert len(world.asked("alice")) == 3


def test_one_login_one_push(world: World) -> None:
    apps = add_apps(world)
    alice = world.add_user("alice", answer=None)
    world.start()
    wires = [Wire(apps.port) for _ in range(10)]
    for wire in wires:
        wire.send(1, simple(dn(alice), alice.password))
        wire.send(2, EVERYBODY)
    wait_for(lambda: world.asked("alice"))
    assert world.cloud.decide("alice", "allow") == 1
    for wire in wires:
        for message_id in (1, 2):
            frame = wire.last(message_id)
            assert frame is not None
            assert result_of(decode_response(frame)) == 0
        wire.close()
    assert len(world.asked("alice")) == 1
    assert len(world.binds("alice")) == 10, "each connection is bound itself"


def test_nothing_pipelined_moves_before_a_denial(world: World) -> None:
    apps = add_apps(world)
    alice = world.add_user("alice", answer=None)
    world.start()
    with Wire(apps.port) as wire:
        wire.write(encode_request(1, simple(dn(alice), alice.password)) + encode_request(2, EVERYBODY))
        wait_for(lambda: world.asked("alice"))
        world.cloud.decide("alice", "deny")
        frames = [wire.frame(), wire.frame()]
        assert [result_of(decode_response(frame)) for frame in frames if frame] == [49, 50]
        assert wire.octets.count(b"data") == 0


def test_outage_codes_and_an_open_door(world: World) -> None:
    secure = add_apps(world, "secure", api_timeout=2)
    safe = add_apps(world, "safe", api_timeout=2, failmode="safe")
    alice = world.add_user("alice")
    world.start()
    eventually(lambda: world.log().count("cloud.proven") == 2)
    world.cloud.become("refused")
    with Wire(secure.port) as wire:
        assert wire.bind(dn(alice), alice.password) == 52
    with Wire(safe.port) as wire:
        assert wire.bind(dn(alice), alice.password) == 0
        assert wire.code(2, EVERYBODY) == 0
    world.wait_audit(reason="fail_open")
    world.cloud.become("well")


def test_starttls_injection(world: World) -> None:
    apps = add_apps(world, require_tls=True)
    alice = world.add_user("alice")
    world.start()
    bind = encode_request(2, simple(dn(alice), alice.password))
    with Wire(apps.port) as wire:
        wire.write(encode_request(1, ExtendedRequest(START_TLS)) + bind)
        assert wire.to_end() == []
    assert not world.binds("alice")
    with Wire(apps.port) as wire:
        # Behind the answer, and still in clear: it meets the handshake.
        assert wire.code(1, ExtendedRequest(START_TLS)) == 0
        wire.write(bind)
        wire.to_end()
    assert not world.binds("alice")
    with Wire(apps.port) as wire:
        assert wire.bind(dn(alice), alice.password) == 13
        wire.ask_for_tls(apps.files.authority, 2)
        assert wire.bind(dn(alice), alice.password, 3) == 0
    assert world.running.metric("authproxy_ldap_disconnected_total", cause="starttls_injection") == 1


DEEP = 40_000  # elements, each in the one before it
GARBAGE = [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not_ldap"),
    (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", "not_ldap"),  # TLS on the port without
    (b"\x30\x80\x02\x01\x01", "length"),
    (b"\x30\x85\x00\x00\x00\x00\x05\x02\x01\x01", "length"),
    (b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01", "oversize"),
    (b"\x30\x0c\x02\x01\x01\x60\x50\x02\x01\x03\x04\x00\x80\x00", "truncated"),
    (b"\x30\x00", "truncated"),
    (b"\x30\x05\x02\x01\x01\x3f\x00", "tag"),
    (b"\x30\x05\x02\x01\x01\x30\x00", "operation"),
    (b"\x30\x05\x02\x01\x01\x61\x00", "operation"),  # an answer, from a client
    (b"\x30\x05\x02\x01\x00\x42\x00", "message_id"),
    (b"\x30\x05\x02\x01\xff\x42\x00", "integer"),
    (b"\x30\x08\x02\x01\x01\x42\x00\x42\x01\x00", "tag"),  # something behind the operation
    (b"\x30\x0e\x02\x01\x01\x60\x09\x02\x01\x03\x24\x00\x80\x02ab", "tag"),  # a constructed string
    (ber.tlv(ber.SEQUENCE, b"\x02\x01\x01" + b"\xa2\x80" * DEEP), "length"),
]


def test_garbage_costs_its_sender_only(world: World) -> None:
    """Requirements section 11: a Notice of Disconnection, a counted cause, and nobody else notices."""
    apps = add_apps(world)
    alice = world.add_user("alice")
    world.start()
    with Wire(apps.port) as good:
        assert good.bind(dn(alice), alice.password) == 0
        for number, (octets, cause) in enumerate(GARBAGE, 2):
            before = world.running.metric("authproxy_ldap_disconnected_total", cause=cause)
            with Wire(apps.port) as bad:
                bad.write(octets)
                (notice,) = bad.to_end()
                assert (notice.message_id, result_of(decode_response(notice))) == (0, 2), octets[:20]
            assert good.code(number, EVERYBODY) == 0
            after = world.running.metric("authproxy_ldap_disconnected_total", cause=cause)
            assert after == before + 1, (cause, octets[:20])


def test_one_octet_at_a_time(world: World) -> None:
    """L6"""
    apps = add_apps(world)
    alice = world.add_user("alice")
    world.start()
    session = (
        encode_request(1, SearchRequest("", Scope.BASE))
        + encode_request(2, simple(dn(alice), alice.password))
        + encode_request(3, EVERYBODY)
    )
    with Wire(apps.port) as wire:
        for octet in session:
            wire.write(bytes((octet,)))
        answers = [wire.last(message_id) for message_id in (1, 2, 3)]
        assert [result_of(decode_response(frame)) for frame in answers if frame] == [0, 0, 0]


def test_the_next_host_of_the_directory(world: World) -> None:
    """L28: chosen when a client's connection is opened."""
    apps = add_apps(world)
    alice = world.add_user("alice")
    world.config["ad_client"]["host"] = ["127.0.0.9", "127.0.0.1"]  # nobody is at the first
    world.start()
    for _ in range(3):
        with Wire(apps.port) as wire:
            assert wire.bind(dn(alice), alice.password) == 0
            assert wire.code(2, EVERYBODY) == 0


def test_two_hundred_that_announce_two_gigabytes(world: World) -> None:
    apps = add_apps(world, max_connections_per_client=500)
    world.start()
    before = resident(world.running.pid)
    wires = [Wire(apps.port) for _ in range(200)]
    for wire in wires:
        wire.write(b"\x30\x84\x7f\xff\xff\xff")
    for wire in wires:
        wire.to_end()
        wire.close()
    assert resident(world.running.pid) - before < 20_000_000


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_client_that_does_not_read(world: World) -> None:
    """100 MB that nobody reads stay with the directory."""
    apps = add_apps(world)
    alice = world.add_user("alice")
    photo = {"description": ["x" * 200_000]}
    for number in range(500):
        world.directory.add(f"big{number:03}", "a password of none", attributes=photo)
    world.start()
    with Wire(apps.port, timeout=60) as wire:
        assert wire.bind(dn(alice), alice.password) == 0
        before = resident(world.running.pid)
        wire.send(2, EVERYBODY)
        with Wire(apps.port) as other:
            for message_id in range(1, 6):
                assert other.bind(dn(alice), alice.password, message_id) == 0
        assert resident(world.running.pid) - before < 20_000_000
        frame = wire.last(2)
        assert frame is not None
        assert len(wire.octets) > 100_000_000
        assert resident(world.running.pid) - before < 30_000_000


def test_too_many_connections_of_one_client(world: World) -> None:
    apps = add_apps(world, max_connections_per_client=5)
    alice = world.add_user("alice")
    world.start()
    wires = [Wire(apps.port) for _ in range(5)]
    with Wire(apps.port) as sixth:
        assert sixth.to_end() == []
    with Wire(apps.port, source="127.0.0.2") as other:
        assert other.bind(dn(alice), alice.password) == 0
    for wire in wires:
        wire.close()
    eventually(lambda: world.running.metric("authproxy_ldap_connections") == 0)


def test_the_directory_goes(world: World) -> None:
    apps = add_apps(world)
    alice = world.add_user("alice")
    world.start()
    with Wire(apps.port) as idle, Wire(apps.port) as busy:
        assert idle.bind(dn(alice), alice.password) == 0
        assert busy.bind(dn(alice), alice.password) == 0
        world.directory.break_("search", Fault(delay=30))
        busy.send(2, EVERYBODY)
        time.sleep(0.2)
        world.directory.refuse()
        assert [result_of(decode_response(frame)) for frame in idle.to_end()] == [52]
        assert [result_of(decode_response(frame)) for frame in busy.to_end()[-2:]] == [52, 52]
    with Wire(apps.port) as wire:
        assert wire.bind(dn(alice), alice.password) == 52
    world.directory.heal()
    world.directory.listen()


def test_who_hangs_up_while_the_phone_is_asked(world: World) -> None:
    apps = add_apps(world)
    alice = world.add_user("alice", answer=None)
    world.start()
    with Wire(apps.port) as wire:
        wire.send(1, simple(dn(alice), alice.password))
        wait_for(lambda: world.asked("alice"))
        wire.send(2, UnbindRequest())
        assert wire.to_end() == []
    eventually(lambda: world.running.metric("authproxy_ldap_connections") == 0)
    world.cloud.decide("alice", "allow")
    world.wait_audit(reason="both_factors")


def test_the_client_s_address_from_a_balancer(world: World) -> None:
    apps = add_apps(world, proxy_protocol_from=["127.0.0.1"])
    alice = world.add_user("alice")
    world.start()
    with Wire(apps.port) as wire:
        wire.write(b"PROXY TCP4 198.51.100.7 127.0.0.1 56324 389\r\n")
        assert wire.bind(dn(alice), alice.password) == 0
    assert world.asked("alice")[0]["ipaddr"] == "198.51.100.7"
    with socket.create_connection(("127.0.0.1", apps.ssl_port), 10) as raw:
        raw.sendall(b"PROXY TCP6 2001:db8::7 ::1 56324 636\r\n")
        context = ssl.create_default_context(cafile=str(apps.files.authority))
        with context.wrap_socket(raw, server_hostname="localhost") as inside:
            inside.sendall(encode_request(1, simple(dn(alice), alice.password)))
            assert inside.recv(1000)
    assert world.asked("alice")[1]["ipaddr"] == "2001:db8::7"
    with Wire(apps.port) as wire:
        assert wire.bind(dn(alice), alice.password) is None
    with Wire(apps.port, source="127.0.0.2") as wire:
        wire.write(b"PROXY TCP4 198.51.100.7 127.0.0.1 56324 389\r\n")
        assert result_of(decode_response(wire.to_end()[0])) == 2


def test_certificates_are_reloaded_under_open_connections(world: World) -> None:
    apps = add_apps(world)
    alice = world.add_user("alice")
    world.start()
    with Wire(apps.ssl_port, ca=apps.files.authority) as wire:
        assert wire.bind(dn(alice), alice.password) == 0
        fresh = make_certificate(world.home / "fresh", "localhost", "127.0.0.1")
        apps.files.certificate.write_bytes(b"no certificate")
        world.running.reload()
        eventually(lambda: "config.invalid" in world.log())
        with Wire(apps.ssl_port, ca=apps.files.authority) as other:
            assert other.bind(dn(alice), alice.password) == 0, "the old one goes on"
        apps.files.certificate.write_bytes(fresh.certificate.read_bytes())
        apps.files.key.write_bytes(fresh.key.read_bytes())
        world.running.reload()
        eventually(lambda: "service.reloaded" in world.log())
        with Wire(apps.ssl_port, ca=fresh.authority) as other:
            assert other.bind(dn(alice), alice.password) == 0
        assert wire.code(2, EVERYBODY) == 0, "it goes on as it began"


def test_old_tls_is_refused(world: World) -> None:
    apps = add_apps(world, minimum_tls_version="tls1.3")
    world.start()
    program = needs("openssl", "openssl")
    for version, good in (("-tls1_1", False), ("-tls1_2", False), ("-tls1_3", True)):
        command = [program, "s_client", "-connect", f"127.0.0.1:{apps.ssl_port}", version]
        done = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=20)
        assert (b"Cipher is TLS_" in done.stdout) is good, version


def test_drain(world: World) -> None:
    apps = add_apps(world)
    alice, bob = world.add_user("alice", answer=None), world.add_user("bob")
    world.start()
    with Wire(apps.port) as waiting, Wire(apps.port) as idle:
        assert idle.bind(dn(bob), bob.password) == 0
        waiting.send(1, simple(dn(alice), alice.password))
        wait_for(lambda: world.asked("alice"))
        world.running.signal(signal.SIGTERM)
        assert [result_of(decode_response(frame)) for frame in idle.to_end()] == [52]
        with pytest.raises(OSError, match="refused"):
            Wire(apps.port)
        world.cloud.decide("alice", "allow")
        assert [result_of(decode_response(frame)) for frame in waiting.to_end()] == [0, 52]
    assert world.running.wait() == 0
