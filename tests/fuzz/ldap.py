"""LDAP: any stream through the framer, both decoders, the text parsers, and a client that waits for an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from authproxy.backends.directory.connection import ConnectionFailed, LdapConnection
from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import Cursor, MalformedMessage
from authproxy.protocols.ldap.controls import (
    PASSWORD_POLICY,
    Control,
    PasswordPolicy,
    decode_controls,
    encode_password_policy,
    password_policy,
)
from authproxy.protocols.ldap.dn import MalformedDN, parse_dn
from authproxy.protocols.ldap.filter import Not, encode_filter
from authproxy.protocols.ldap.filter_text import MalformedFilter, format_filter, parse_filter
from authproxy.protocols.ldap.framing import Frame, Framer, frame_of
from authproxy.protocols.ldap.requests import (
    AbandonRequest,
    BindRequest,
    ExtendedRequest,
    OtherChoice,
    OtherRequest,
    Sasl,
    Scope,
    SearchRequest,
    Simple,
    UnbindRequest,
    decode_request,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    Attribute,
    BindResponse,
    ExtendedResponse,
    IntermediateResponse,
    Result,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    decode_response,
    encode_response,
    notice_of_disconnection,
)
from authproxy.secret import Secret
from tests.fuzz.corpus import seeds as corpus
from tests.fuzz.mutate import CHANGES, mutated
from tests.fuzz.report import Report, drive

LIMIT = 64 * 1024
_BIND = BindRequest("CN=alice,DC=corp,DC=test", Simple(Secret(b"right")))
_FILTERS = (
    "(&(uid=alice)(|(objectClass=person)(cn=a*b*c))(!(mail~=x)))",
    "(memberOf:1.2.840.113556.1.4.1941:=CN=vpn,DC=corp,DC=test)",
    r"(cn:dn:2.4.6:=\28\ff)",
)
_NAMES = (
    r"CN=Doe\, Jane+UID=x,OU=\#1,DC=corp",
    "cn = a , dc=b",
    "2.5.4.3=#0403616263,DC=x",
    "OU=ä  ö",
)


def target() -> Callable[[bytes], str]:
    """`one(octets)`: what the stream is to a server. Raises for everything that should not be."""

    def one(octets: bytes) -> str:
        text(octets)
        waiting_client(octets)
        return stream(octets)

    return one


def stream(octets: bytes) -> str:
    """Whole and in pieces it is the same; the messages in it decode, or raise their one error."""
    outcome, frames = _framed(octets, len(octets) or 1)
    for size in (1, 7):
        # Piece by piece, the good messages before a bad one have been handed out already.
        again, pieces = _framed(octets, size)
        assert again == outcome, f"whole {outcome}, in pieces of {size} {again}"
        assert pieces[: len(frames)] == frames
    for frame in frames:
        outcome = _decoded(frame)
    return outcome


def _framed(octets: bytes, size: int) -> tuple[str, list[Frame]]:
    framer, frames = Framer(LIMIT, unsolicited=True), []
    try:
        for at in range(0, len(octets), size):
            frames += framer.feed(octets[at : at + size])
            assert framer.pending <= LIMIT
    except MalformedMessage as malformed:
        return malformed.cause, frames
    return "whole" if not framer.pending else "partial", frames


def _decoded(frame: Frame) -> str:
    outcome = "whole"
    with suppress(MalformedMessage):
        password_policy(decode_controls(frame))
    try:
        request = decode_request(frame)
        outcome = type(request).__name__
        if not isinstance(request, OtherRequest | BindRequest) or not isinstance(
            getattr(request, "authentication", None), OtherChoice
        ):
            _same_again(frame, request)
    except MalformedMessage as malformed:
        outcome = malformed.cause
    with suppress(MalformedMessage):
        response = decode_response(frame)
        outcome = type(response).__name__
        assert decode_response(frame_of(encode_response(7, response))) == response
    return outcome


def _same_again(frame: Frame, request: Any) -> None:
    if isinstance(request, OtherRequest):
        return
    assert decode_request(frame_of(encode_request(7, request))) == request


def text(octets: bytes) -> None:
    """The octets as an administrator's words."""
    words = octets.decode("utf-8", "replace")
    with suppress(MalformedFilter):
        wanted = parse_filter(words)
        assert parse_filter(format_filter(wanted)) == wanted
    with suppress(MalformedDN):
        name = parse_dn(words)
        assert parse_dn(str(name)) == name


class _Transport:
    def __init__(self) -> None:
        self.closed = False

    def write(self, _: bytes) -> None:
        pass

    def abortConnection(self) -> None:
        self.closed = True

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_: None


def waiting_client(octets: bytes) -> None:
    """A client that has sent a password: only a right answer to it, alone on the wire, is one."""
    connection = LdapConnection(Clock())
    connection.transport = _Transport()
    said: list[Any] = []
    Deferred.fromCoroutine(connection.bind(_BIND, 10)).addBoth(said.append)
    connection.dataReceived(octets)
    connection.connectionLost(Failure(ConnectionDone()))
    (answer,) = said
    if isinstance(answer, Failure):
        answer.trap(ConnectionFailed)
    elif answer[0].result.code == 0:
        assert _is_success(octets), "a success that nobody sent"


def _is_success(octets: bytes) -> bool:
    """A second opinion, by hand: the last message is BindResponse 1 with code 0, and nothing is behind it."""
    at = 0
    while at < len(octets):
        start, length = _header(octets, at)
        end = start + length
        identifier, operation = _header(octets, start), 0
        operation = identifier[0] + identifier[1]
        number = int.from_bytes(octets[identifier[0] : operation], "big")
        code = _header(octets, _header(octets, operation)[0])
        if end == len(octets):
            value = octets[code[0] : code[0] + code[1]]
            return number == 1 and octets[operation] == 0x61 and value.strip(b"\0") == b"" and bool(value)
        # Only what may come while a bind is waited for: an intermediate response to it.
        if number != 1 or octets[operation] != 0x79:
            return False
        at = end
    return False


def _header(octets: bytes, at: int) -> tuple[int, int]:
    first = octets[at + 1]
    if first < 0x80:
        return at + 2, first
    count = first & 0x7F
    return at + 2 + count, int.from_bytes(octets[at + 2 : at + 2 + count], "big")


# ---- what to begin with


def _seeds() -> list[bytes]:
    wanted = [parse_filter(words) for words in _FILTERS]
    controls = (
        Control(PASSWORD_POLICY, critical=True),
        encode_password_policy(PasswordPolicy(grace_logins=3, error=2)),
    )
    deep = wanted[0]
    for _ in range(45):
        deep = Not(deep)
    requests = [
        _BIND,
        BindRequest("", Sasl("GSS-SPNEGO", Secret(b"NTLMSSP\0\1\0\0\0"))),
        *(SearchRequest("DC=corp", Scope.SUBTREE, each, ("cn", "1.1"), 2) for each in (*wanted, deep)),
        ExtendedRequest("1.3.6.1.4.1.1466.20037", b"x"),
        AbandonRequest(70_000),
        UnbindRequest(),
    ]
    responses = [
        BindResponse(Result(0)),
        BindResponse(Result(49, "data 52e"), b"\xa1\x07"),
        SearchResultEntry("CN=a", (Attribute("member", (b"x" * 200, b"")), Attribute("cn", ()))),
        SearchResultReference(("ldap://a/", "ldap://b/")),
        SearchResultDone(Result(10, referral=("ldap://c/",))),
        ExtendedResponse(Result(2), "1.2.3", b"v"),
        IntermediateResponse("1.2.3", b"v"),
    ]
    messages = [encode_request(1, request, controls) for request in requests]
    messages += [encode_response(1, response, controls) for response in responses]
    messages += [encode_response(1, BindResponse(Result(0))), notice_of_disconnection(52)]
    plain = [*(words.encode() for words in (*_FILTERS, *_NAMES)), *(encode_filter(each) for each in wanted)]
    return [*messages, b"".join(messages[:3]), *plain, *(seed.octets for seed in corpus("ldap"))]


def refit(octets: bytes, dice: random.Random) -> bytes:
    """Right lengths around what was changed: what lies behind the envelope is met as well."""
    if len(octets) < 8 or octets[0] != ber.SEQUENCE:
        return octets
    with suppress(MalformedMessage, IndexError):
        cursor = Cursor(octets, _header(octets, 0)[0] if octets[1] != 0x80 else 2, len(octets))
        message_id = cursor.integer()
        tag, start = octets[cursor.at], _header(octets, cursor.at)[0]
        end = dice.choice((len(octets), dice.randint(min(start, len(octets)), len(octets))))
        controls = octets[end:] if octets[end : end + 1] == b"\xa0" else b""
        return ber.tlv(ber.SEQUENCE, ber.integer(message_id) + ber.tlv(tag, octets[start:end]) + controls)
    return octets


def nest(octets: bytes, dice: random.Random) -> bytes:
    """A piece wrapped in an element, once or very often."""
    at = dice.randint(0, len(octets))
    end = dice.randint(at, len(octets))
    piece = octets[at:end]
    for _ in range(dice.choice((1, 2, 60))):
        piece = ber.tlv(dice.choice((0x30, 0xA0, 0xA2, 0x04, 0x60)), piece)
    return octets[:at] + piece + octets[end:]


def inputs(seed: int) -> Iterator[bytes]:
    return mutated(_seeds(), random.Random(seed), (*CHANGES, refit, refit, refit, nest))


def run(seconds: float, seed: int) -> Report:
    return drive("ldap", target(), inputs(seed), seconds=seconds)


def run_count(count: int, seed: int) -> Report:
    return drive("ldap", target(), inputs(seed), count=count)
