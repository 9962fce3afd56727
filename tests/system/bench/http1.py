"""HTTP/1.1 requests as a strict server reads them (RFC 9112), for the tests alone."""

from __future__ import annotations

import asyncio
import email.utils
import json
import re
from dataclasses import dataclass
from typing import Any

MAX_BODY = 65_536
_REQUEST_LINE = re.compile(r"(GET|POST|PUT|DELETE|HEAD) (/[!-~]*) HTTP/1\.1")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")


class BadRequest(Exception):
    """What no careful client sends."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Header names are lower case, each there once."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


async def read_request(reader: asyncio.StreamReader) -> HttpRequest | None:
    """The next request; None at the end of the connection. Raises BadRequest."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise BadRequest(f"the connection ended inside a head of {len(end.partial)} octets") from None
        return None
    except asyncio.LimitOverrunError:
        raise BadRequest("a head without an end") from None
    method, target, headers = read_head(head[:-4].decode("latin-1"))
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not re.fullmatch("[0-9]{1,6}", length) or int(length) > MAX_BODY:
        raise BadRequest(f"a body of {length} octets, {headers.get('transfer-encoding', 'not encoded')}")
    return HttpRequest(method, target, headers, await reader.readexactly(int(length)))


def read_head(head: str) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.split("\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise BadRequest(f"request line {first[:100]!r}")
    headers: dict[str, str] = {}
    for text in lines:
        field = _FIELD.fullmatch(text)
        if field is None or headers.setdefault(field[1].lower(), field[2]) != field[2]:
            raise BadRequest(f"field line {text[:40]!r}")
    if not headers.get("host"):
        raise BadRequest("no Host")
    return line[1], line[2], headers


def response(
    status: int, body: bytes | dict[str, Any], *headers: str, content_type: str = "application/json"
) -> bytes:
    """One complete response."""
    octets = json.dumps(body).encode() if isinstance(body, dict) else body
    lines = [
        f"HTTP/1.1 {status} Scripted",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(octets)}",
        f"Date: {email.utils.formatdate(usegmt=True)}",
        *headers,
    ]
    return "\r\n".join((*lines, "", "")).encode() + octets
