"""Time, numbers, balancers, reload and goodbye (A1, A8, A9, A12, A13; PROXY protocol)."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.listeners.address import plain_address
from authproxy.listeners.descriptors import Descriptors
from authproxy.listeners.ldap.listener import prepare
from authproxy.listeners.ldap.proxy_protocol import Header, read_header
from authproxy.pipeline.ports import FactorAllow
from authproxy.pipeline.workload import Workload
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.requests import SearchRequest, encode_request
from authproxy.protocols.ldap.responses import Result, SearchResultDone
from authproxy.protocols.ldap.result import ResultCode
from tests.listeners.ldap.world import ALICE, ROOT, Desk, FakeDirectory, bind, code_of, search

V2 = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(source: bytes, family: int = 0x11, command: int = 0x21, more: bytes = b"") -> bytes:
    addresses = source + bytes(len(source)) + b"\x00\x01\x00\x02" + more
    return V2 + struct.pack("!BBH", command, family, len(addresses)) + addresses


def test_accepted_connections_are_as_the_port_was_prepared() -> None:
    with socket.create_server(("127.0.0.1", 0)) as port:
        prepare(port)
        with socket.create_connection(port.getsockname()), port.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


# ---- time


def test_a_first_message_that_does_not_come() -> None:
    desk = Desk()
    wire = desk.connect()
    for _ in range(12):
        wire.octet(b"\x30" if _ == 0 else b"")
        desk.pass_time(1)
    assert wire.transport.aborted
    assert desk.counted.causes == ["first_message"]


def test_a_message_that_drips() -> None:
    desk = Desk()
    wire = desk.connect()
    wire.send(1, bind())
    octets = encode_request(2, search("x" * 100))
    for octet in octets[:40]:
        wire.octet(bytes([octet]))
        desk.pass_time(1)
    assert wire.transport.aborted
    assert desk.counted.causes == ["slow"]


def test_idle() -> None:
    desk = Desk(limits={"idle": 100})
    unbound, bound = desk.connect(), desk.connect()
    unbound.send(1, ROOT)
    bound.send(1, bind())
    desk.pass_time(62)
    assert unbound.notices() == [52]
    assert not bound.closed
    desk.pass_time(40)
    assert bound.notices() == [52]
    assert desk.counted.causes == ["idle", "idle"]


def test_a_pending_push_is_not_idle() -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    desk.pass_time(100)
    assert not wire.closed
    desk.phone.answer(FactorAllow())
    assert code_of(wire.read()[0][1]) == 0


def test_a_directory_that_goes_silent() -> None:
    desk = Desk(limits={"network": 20})
    desk.directory.silent.add(SearchRequest)
    wire = desk.connect()
    wire.send(1, bind())
    desk.pass_time(10)
    wire.send(2, search())
    desk.pass_time(19)
    assert len(wire.messages) == 1
    desk.pass_time(3)
    wire.read()
    assert [(id_, code_of(response)) for id_, response in wire.messages[1:]] == [(2, 52), (0, 52)]
    assert not desk.directory.upstreams[0].open


def test_a_search_that_waits_for_changes() -> None:
    desk = Desk(limits={"network": 0, "idle": 10})
    desk.directory.silent.add(SearchRequest)
    wire = desk.connect()
    wire.send(1, bind())
    wire.send(2, search())
    desk.pass_time(5000)
    assert not wire.closed


def test_a_client_that_does_not_read_is_cut_off() -> None:
    desk = Desk()
    wire = desk.connect()
    wire.send(1, bind())
    wire.client.pauseProducing()
    desk.pass_time(62)
    assert wire.transport.aborted
    assert desk.counted.causes == ["stalled"]


def test_last_words_that_nobody_takes() -> None:
    desk = Desk()
    wire = desk.connect()
    wire.octet(b"x")
    assert wire.closed
    assert not wire.transport.aborted
    desk.pass_time(12)
    assert wire.transport.aborted


# ---- numbers


def test_connections_are_counted() -> None:
    desk = Desk(limits={"connections": 3, "connections_per_client": 2})
    one, two = desk.connect("192.0.2.1"), desk.connect("::ffff:192.0.2.1")
    assert desk.connect("192.0.2.1").refused
    three = desk.connect("192.0.2.2")
    assert desk.connect("192.0.2.3").refused
    assert desk.counted.causes == ["too_many_connections"] * 2
    for wire in (one, two, three):
        wire.hang_up()
    assert desk.listener.connections == 0
    assert not desk.connect("192.0.2.1").refused


@pytest.mark.parametrize(
    ("host", "plain"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("192.0.2.1", "192.0.2.1")],
)
def test_addresses_are_plain(host: str, plain: str) -> None:
    assert plain_address(host) == plain


# ---- PROXY protocol


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 389\r\n", "198.51.100.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 389\r\n", "2001:db8::7"),
        (v2(bytes([198, 51, 100, 7])), "198.51.100.7"),
        (v2(bytes([198, 51, 100, 7]), more=b"\x04\x00\x02xx"), "198.51.100.7"),
        (v2(bytes.fromhex("20010db8000000000000000000000007"), 0x21), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "10.0.0.7"),
        (v2(b"", 0x00, 0x20), "10.0.0.7"),
    ],
)
@pytest.mark.parametrize("cut", [1, 1000])
def test_a_balancer_tells_the_client_s_address(header: bytes, address: str, cut: int) -> None:
    desk = Desk(balancers=("10.0.0.0/24",))
    wire = desk.connect("10.0.0.7")
    octets = header + encode_request(1, bind())
    for at in range(0, len(octets), cut):
        wire.octet(octets[at : at + cut])
    assert code_of(wire.read()[0][1]) == 0
    assert desk.phone.requests[0].client_ip == address


@pytest.mark.parametrize(
    "octets",
    [
        encode_request(1, bind()),
        b"PROXY TCP4 198.51.100.7\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 99999999 389\r\n",
        b"PROXY TCP4 " + b"1" * 100,
        V2 + b"\x31\x11\x00\x0c" + bytes(12),
        V2 + b"\x21\x11\x00\x04" + bytes(4),
        V2 + b"\x21\x11\xff\xff",
    ],
)
def test_a_balancer_has_to_tell(octets: bytes) -> None:
    desk = Desk(balancers=("10.0.0.7/32",))
    wire = desk.connect("10.0.0.7")
    wire.octet(octets)
    assert wire.transport.aborted
    assert wire.transport.value() == b""
    assert desk.counted.causes == ["proxy_protocol"]


@pytest.mark.parametrize(
    "header", [b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 389\r\n", v2(bytes([198, 51, 100, 7]))]
)
def test_nobody_else_may(header: bytes) -> None:
    desk = Desk(balancers=("10.0.0.7/32",))
    wire = desk.connect("10.0.0.8")
    wire.octet(header + encode_request(1, bind()))
    assert wire.notices() == [2]
    assert not desk.phone.requests


def test_a_balancer_s_clients_are_counted_each() -> None:
    desk = Desk(balancers=("10.0.0.7/32",), limits={"connections_per_client": 2})
    wires = [desk.connect("10.0.0.7") for _ in range(4)]
    for wire, last in zip(wires, (7, 7, 7, 8), strict=True):
        wire.octet(b"PROXY TCP4 198.51.100.%d 192.0.2.1 56324 389\r\n" % last)
    assert [wire.notices() for wire in wires] == [[], [], [51], []]
    for wire in wires:
        wire.hang_up()
    assert not desk.listener._by_address


def test_ldaps_behind_a_balancer() -> None:
    context = object()
    desk = Desk(balancers=("10.0.0.7/32",), tls=context, tls_at_once=True)
    wire = desk.connect("10.0.0.7")
    assert wire.transport.tls is None
    wire.octet(b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 389\r\n")
    assert wire.transport.tls is context


@given(st.binary(max_size=300))
def test_a_header_is_read_or_refused(octets: bytes) -> None:
    for start in (b"", b"PROXY ", V2, V2 + b"\x21\x11"):
        try:
            found = read_header(start + octets)
        except MalformedMessage:
            continue
        assert found is None or isinstance(found, Header)


# ---- LDAPS


def test_ldaps_begins_with_tls() -> None:
    context = object()
    desk = Desk(tls=context, tls_at_once=True, options={"require_tls": True})
    wire = desk.connect()
    assert wire.transport.tls is context
    wire.handshake()
    assert wire.code(1, bind()) == 0


def test_a_handshake_that_does_not_end() -> None:
    desk = Desk(tls=object(), tls_at_once=True)
    wire = desk.connect()
    desk.pass_time(12)
    assert wire.transport.aborted
    assert wire.transport.value() == b""


# ---- reload


def test_a_new_bind_goes_by_the_new_configuration() -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    other = FakeDirectory()
    desk.listener.serve(desk.section(upstreams=other), (), tls_at_once=False)
    desk.phone.answer(FactorAllow())
    assert code_of(wire.read()[0][1]) == 0, "it ends as it began"
    assert wire.code(2, search()) == 0
    assert not other.seen
    desk.phone.at_once = FactorAllow()
    assert wire.code(3, bind()) == 0
    assert not desk.directory.upstreams[0].open
    assert other.upstreams[0].bound == ALICE


# ---- goodbye


def test_drain() -> None:
    desk = Desk()
    desk.directory.silent.add(SearchRequest)
    desk.phone.at_once = None
    idle, binding, searching = desk.connect(), desk.connect(), desk.connect()
    idle.send(1, ROOT)
    binding.send(1, bind())
    desk.directory.upstreams[0].say(1, SearchResultDone(Result(0)))
    searching.send(1, ROOT)
    drained: list[object] = []
    desk.listener.drain().addCallback(drained.append)
    assert idle.notices() == [52]
    assert not binding.closed
    assert not searching.closed
    desk.pass_time(7)
    assert searching.closed, "an operation is not waited for so long"
    assert not binding.closed
    desk.phone.answer(FactorAllow())
    assert code_of(binding.read()[0][1]) == 0
    desk.pass_time(1)
    assert binding.notices() == [52]
    assert not drained
    for wire in (idle, binding, searching):
        wire.hang_up()
    assert drained == [None]


def test_no_descriptors_left_for_another() -> None:
    """A8: of all ports together, two for each connection; the rest is for what answers."""
    desk = Desk(descriptors=Descriptors(5))
    one, two = desk.connect("192.0.2.1"), desk.connect("192.0.2.2")
    assert desk.connect("192.0.2.3").refused
    assert desk.counted.causes == ["no_descriptors"]
    assert "ldap.no_descriptors" in desk.log.events()
    one.hang_up()
    assert not desk.connect("192.0.2.3").refused
    two.hang_up()


def test_more_to_do_than_can_be_done() -> None:
    """A1: busy, before the directory or a telephone hears of it; what was begun goes on."""
    workload = Workload(most=1)
    desk = Desk(workload=workload)
    wire = desk.connect()
    workload.begin()
    assert wire.code(1, bind()) == ResultCode.BUSY
    assert desk.reasons() == ["overloaded"]
    workload.end()
    assert wire.code(2, bind()) == ResultCode.SUCCESS
