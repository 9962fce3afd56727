"""Clients of the LDAP rows: on kept connections, as many searches as go or at a pace, or a connection a session."""

from __future__ import annotations

import selectors
import socket
import time
from typing import Self

from authproxy.protocols.ldap.filter import Equality
from authproxy.protocols.ldap.requests import (
    BindRequest,
    Scope,
    SearchRequest,
    Simple,
    UnbindRequest,
    encode_request,
)
from authproxy.secret import Secret
from tests.bench.rig import PEOPLE_DN
from tests.bench.tools import WrongAnswer

CONNECTIONS, OUTSTANDING = 8, 4
RATE = 500  # searches per second in row 9
_BOUND = b"\x61\x07\x0a\x01\x00"
_DONE = b"\x65\x07\x0a\x01\x00"


class Client:
    """One connection. Every answer is compared, whole, with what it has to be."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._expected = b""
        self._got = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def root(self) -> None:
        """Read the root DSE, which takes a connection to the directory."""
        self.socket.sendall(encode_request(1, SearchRequest("", Scope.BASE, attributes=("1.1",))))
        while b"\x65" not in self.socket.recv(4096):
            pass

    def begin_bind(self, number: int) -> str:
        name = f"uid=user{number:05d},{PEOPLE_DN}"
        request = BindRequest(name, Simple(Secret(b"pass%05d" % number)))
        self.socket.sendall(encode_request(1, request))
        return name

    def bind(self, number: int) -> None:
        self.expect_bound(self.begin_bind(number))

    def expect_bound(self, name: str) -> None:
        answer = self.socket.recv(4096)
        if _BOUND not in answer:
            raise WrongAnswer(f"the bind of {name}: {answer[:40]!r}")

    def learn(self, octets: bytes) -> None:
        """What has to come back for these requests: as it did the first time, with an entry for each."""
        self._requests = octets
        self.socket.sendall(octets)
        got = b""
        while got.count(_DONE) < OUTSTANDING:
            got += self.socket.recv(65536)
        if got.count(b"inetOrgPerson") != OUTSTANDING:
            raise WrongAnswer("no entry")
        self._expected = bytes(sorted(got))
        self._length = len(got)

    def ask(self) -> None:
        self._got = b""
        self.socket.sendall(self._requests)

    def answered(self) -> bool:
        """Takes what is there. Answers may come in any order, so the octets are compared sorted."""
        self._got += self.socket.recv(65536)
        if len(self._got) < self._length:
            return False
        if bytes(sorted(self._got)) != self._expected:
            raise WrongAnswer("another answer than the first time")
        return True


def requests(number: int) -> bytes:
    return b"".join(
        encode_request(at, SearchRequest(PEOPLE_DN, Scope.SUBTREE, Equality("uid", b"user%05d" % number)))
        for at in range(2, 2 + OUTSTANDING)
    )


def clients_of(port: int) -> list[Client]:
    clients = []
    for number in range(CONNECTIONS):
        client = Client(port)
        client.bind(number)
        client.learn(requests(number))
        clients.append(client)
    return clients


def searches(port: int, seconds: float) -> int:
    """As many as go, in so many seconds."""
    clients = clients_of(port)
    found = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for key, _ in selector.select(5):
                if key.data.answered():
                    found += OUTSTANDING
                    key.data.ask()
    for client in clients:
        client.socket.close()
    return found


def paced(port: int, count: int) -> list[float]:
    """Seconds of each of so many searches, one after the other at RATE."""
    client = Client(port)
    client.bind(0)
    request = encode_request(2, SearchRequest(PEOPLE_DN, Scope.SUBTREE, Equality("uid", b"user00000")))
    latencies = []
    began = time.monotonic()
    for number in range(count):
        due = began + number / RATE
        while (left := due - time.monotonic()) > 0:
            time.sleep(left)
        sent = time.monotonic()
        client.socket.sendall(request)
        got = b""
        while _DONE not in got:
            got += client.socket.recv(65536)
        latencies.append(time.monotonic() - sent)
    client.socket.close()
    return latencies


def sessions(port: int, seconds: float, at_once: int = 16) -> int:
    """Connect, bind, search, unbind: as many as go, so many of them at a time, in step."""
    done = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        clients = {number % 1000: Client(port) for number in range(done, done + at_once)}
        names = {number: client.begin_bind(number) for number, client in clients.items()}
        for number, client in clients.items():
            client.expect_bound(names[number])
            client.socket.sendall(_search(2, number))
        for number, client in clients.items():
            with client:
                _expect_entry(client, number)
                client.socket.sendall(encode_request(3, UnbindRequest()))
        done += at_once
    return done


def _expect_entry(client: Client, number: int) -> None:
    got = b""
    while _DONE not in got:
        data = client.socket.recv(65536)
        if not data:
            raise WrongAnswer("a session that ended before its answer")
        got += data
    if b"user%05d" % number not in got:
        raise WrongAnswer("another entry")


def _search(message_id: int, number: int) -> bytes:
    wanted = Equality("uid", b"user%05d" % number)
    return encode_request(message_id, SearchRequest(PEOPLE_DN, Scope.SUBTREE, wanted))
