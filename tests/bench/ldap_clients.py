"""Clients of the LDAP rows: as many searches or sessions as go, which take a program in C, or searches at a pace."""

from __future__ import annotations

import socket
import time
from typing import Self

from authproxy.protocols.ldap.filter import Equality
from authproxy.protocols.ldap.requests import (
    BindRequest,
    Scope,
    SearchRequest,
    Simple,
    encode_request,
)
from authproxy.secret import Secret
from tests.bench.rig import PEOPLE_DN
from tests.bench.tools import WrongAnswer, ldapload

CONNECTIONS, OUTSTANDING = 8, 4
AT_ONCE = 16  # sessions
RATE = 500  # searches per second in row 9
_BOUND = b"\x61\x07\x0a\x01\x00"
_DONE = b"\x65\x07\x0a\x01\x00"


class Client:
    """One connection. Every answer is compared, whole, with what it has to be."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

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


def searches(port: int, seconds: float) -> int:
    """As many as go, in so many seconds. Raises WrongAnswer."""
    return ldapload(port, "-d", seconds, "-c", CONNECTIONS, "-o", OUTSTANDING).expect_right()


def sessions(port: int, seconds: float) -> int:
    """Connect, bind, search, unbind: as many as go, so many at a time. Raises WrongAnswer."""
    return ldapload(port, "-s", "-d", seconds, "-c", AT_ONCE).expect_right()


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
