"""What asks for a tunnel, and what doesn't."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.http.tunnel import NoTunnel, read_request, refusal


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (b"CONNECT api.example:443 HTTP/1.1", ("api.example", 443)),
        (b"CONNECT API.Example.:443 HTTP/1.0", ("api.example", 443)),
        (b"CONNECT 192.0.2.7:8443 HTTP/1.1", ("192.0.2.7", 8443)),
        (b"CONNECT [2001:DB8::7]:443 HTTP/1.1", ("2001:db8::7", 443)),
    ],
)
@pytest.mark.parametrize("more", [b"", b"\r\nHost: elsewhere.example:22\r\nProxy-Authorization: Basic eA=="])
def test_where_a_request_leads(line: bytes, place: tuple[str, int], more: bytes) -> None:
    """The request line alone says so: no header leads anywhere else."""
    assert read_request(line + more) == place


@pytest.mark.parametrize(
    ("head", "status", "cause"),
    [
        (b"GET http://api.example/ HTTP/1.1", 405, "method"),
        (b"connect api.example:443 HTTP/1.1", 400, "malformed"),
        (b"CONNECT api.example HTTP/1.1", 400, "malformed"),
        (b"CONNECT api.example:0 HTTP/1.1", 400, "malformed"),
        (b"CONNECT api.example:65536 HTTP/1.1", 400, "malformed"),
        (b"CONNECT http://api.example:443 HTTP/1.1", 400, "malformed"),
        (b"CONNECT user@api.example:443 HTTP/1.1", 400, "malformed"),
        (b"CONNECT api.example:443 HTTP/2", 400, "malformed"),
        (b"CONNECT api.example:443\nHTTP/1.1", 400, "malformed"),
        (b"\x16\x03\x01", 400, "malformed"),
        (b"", 400, "malformed"),
    ],
)
def test_what_is_none(head: bytes, status: int, cause: str) -> None:
    with pytest.raises(NoTunnel) as refused:
        read_request(head)
    assert (refused.value.status, refused.value.cause) == (status, cause)


@given(st.binary(max_size=200) | st.from_regex(rb"CONNECT [ -~]*:[0-9]* HTTP/1\.1"))
def test_garbage_raises_its_one_error(head: bytes) -> None:
    try:
        host, port = read_request(head)
    except NoTunnel:
        return
    assert host == host.lower()
    assert 0 < port < 65536


def test_a_refusal_is_a_whole_answer() -> None:
    assert refusal(HTTPStatus.FORBIDDEN) == (
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    assert b"\r\nAllow: CONNECT\r\n" in refusal(HTTPStatus.METHOD_NOT_ALLOWED)
