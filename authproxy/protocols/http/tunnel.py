"""Requests to an HTTP proxy for a tunnel: CONNECT (RFC 9110 §9.3.6), and refusals. Nothing else is parsed."""

from __future__ import annotations

import re
from http import HTTPStatus

MAX_HEAD = 8 * 1024  # octets; a client that signs in somewhere else may send a long header, none is read
END = b"\r\n\r\n"
GRANTED = b"HTTP/1.1 200 Connection established\r\n\r\n"

_LINE = re.compile(rb"([A-Z]{1,32}) ([\x21-\x7e]+) HTTP/1\.[01]")
# RFC 9110 §7.2, authority form: a host and a port, nothing left out.
_AUTHORITY = re.compile(rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_.-]{1,254})):([0-9]{1,5})")


class NoTunnel(Exception):
    """The client gets no tunnel, but this status. `cause`: a word for logs and counters."""

    def __init__(self, status: HTTPStatus, cause: str, detail: str = "") -> None:
        super().__init__(cause)
        self.status = status
        self.cause = cause
        self.detail = detail


def read_request(head: bytes) -> tuple[str, int]:
    """Where a request leads: (host, port), the host in small letters. `head`: without its END. Raises NoTunnel."""
    line = _LINE.fullmatch(head.partition(b"\r\n")[0])
    if line is None:
        raise NoTunnel(HTTPStatus.BAD_REQUEST, "malformed")
    if line[1] != b"CONNECT":
        raise NoTunnel(HTTPStatus.METHOD_NOT_ALLOWED, "method")
    target = _AUTHORITY.fullmatch(line[2])
    if target is None or not 0 < int(target[3]) < 1 << 16:
        raise NoTunnel(HTTPStatus.BAD_REQUEST, "malformed")
    return (target[1] or target[2]).decode("ascii").lower().removesuffix("."), int(target[3])


def refusal(status: HTTPStatus) -> bytes:
    """The complete answer to a client that gets no tunnel."""
    allow = "Allow: CONNECT\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{allow}Content-Length: 0\r\nConnection: close\r\n\r\n"
    return head.encode("ascii")
