"""RADIUS octets, written from RFC 2865, 2869 and 3579 for the tests alone: a second opinion, not authproxy's."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import secrets
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE, STATUS_SERVER = 1, 2, 3, 11, 12
ACCOUNTING_REQUEST = 4
USER_NAME, USER_PASSWORD, CHAP_PASSWORD, NAS_IP_ADDRESS, REPLY_MESSAGE, STATE = 1, 2, 3, 4, 18, 24
CALLING_STATION_ID, NAS_IDENTIFIER, PROXY_STATE, EAP_MESSAGE, MESSAGE_AUTHENTICATOR = 31, 32, 33, 79, 80
ERROR_CAUSE = 101
_OF_A_REJECT = {REPLY_MESSAGE, PROXY_STATE, MESSAGE_AUTHENTICATOR, EAP_MESSAGE, ERROR_CAUSE}
_MSCHAP_ERROR = b"\0\0\x01\x37\x02"  # Vendor-Specific of Microsoft

_identifiers = itertools.cycle(range(256))


def md5(*parts: bytes) -> bytes:
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()


def hide_password(password: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """RFC 2865 §5.2. An empty password becomes 16 NULs; give the attribute by hand for stranger lengths."""
    padded = password.ljust(max(16, -(-len(password) // 16) * 16), b"\0")
    hidden, previous = b"", authenticator
    for at in range(0, len(padded), 16):
        block = bytes(a ^ b for a, b in zip(padded[at : at + 16], md5(secret, previous), strict=True))
        hidden, previous = hidden + block, block
    return hidden


def open_password(hidden: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """The other way round, without the padding."""
    password, previous = b"", authenticator
    for at in range(0, len(hidden), 16):
        block = hidden[at : at + 16]
        password += bytes(a ^ b for a, b in zip(block, md5(secret, previous), strict=False))
        previous = block
    return password.rstrip(b"\0")


def attribute(kind: int, value: bytes) -> bytes:
    assert len(value) <= 253
    return bytes((kind, len(value) + 2)) + value


def packet(code: int, identifier: int, authenticator: bytes, attributes: bytes) -> bytes:
    return struct.pack("!BBH", code, identifier, 20 + len(attributes)) + authenticator + attributes


def sign(octets: bytes, secret: bytes) -> bytes:
    """Fill in the first Message-Authenticator (RFC 3579 §3.2), which stands there as 16 NULs."""
    at = find_message_authenticator(octets)
    return octets[:at] + hmac.digest(secret, octets, "md5") + octets[at + 16 :]


def find_message_authenticator(octets: bytes) -> int:
    """Where the value of the first Message-Authenticator starts."""
    at = 20
    while at < len(octets):
        if octets[at] == MESSAGE_AUTHENTICATOR:
            return at + 2
        at += octets[at + 1]
    raise ValueError("no Message-Authenticator")


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent, and what is needed to check the reply."""

    octets: bytes
    user: str = ""
    password: bytes = field(default=b"", repr=False)
    station: bytes = b""

    @property
    def identifier(self) -> int:
        return self.octets[1]

    @property
    def authenticator(self) -> bytes:
        return self.octets[4:20]

    def values(self, kind: int) -> list[bytes]:
        """This attribute's values in order."""
        length = int.from_bytes(self.octets[2:4], "big")
        return [value for found, value in split_attributes(self.octets[20:length]) if found == kind]


def access_request(
    user: bytes | str,
    password: bytes | str | None,
    secret: bytes,
    *extra: tuple[int, bytes],
    identifier: int | None = None,
    authenticator: bytes | None = None,
    message_authenticator: bool = True,
    code: int = ACCESS_REQUEST,
) -> Request:
    """An Access-Request with PAP (none when password is None); `extra` follows in order."""
    user = user.encode() if isinstance(user, str) else user
    password = password.encode() if isinstance(password, str) else password
    authenticator = secrets.token_bytes(16) if authenticator is None else authenticator
    attributes = [(MESSAGE_AUTHENTICATOR, bytes(16))] if message_authenticator else []
    if user or password is not None:
        attributes.append((USER_NAME, user))
    if password is not None:
        attributes.append((USER_PASSWORD, hide_password(password, secret, authenticator)))
    body = b"".join(attribute(*pair) for pair in (*attributes, *extra))
    identifier = next(_identifiers) if identifier is None else identifier
    octets = packet(code, identifier, authenticator, body)
    if message_authenticator:
        octets = sign(octets, secret)
    station = next((value for kind, value in extra if kind == CALLING_STATION_ID), b"")
    return Request(octets, user.decode("utf-8", "replace"), password or b"", station)


def status_server(secret: bytes, *extra: tuple[int, bytes]) -> Request:
    return access_request(b"", None, secret, *extra, code=STATUS_SERVER)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that has been checked octet by octet."""

    octets: bytes
    source: tuple[str, int]
    attributes: tuple[tuple[int, bytes], ...]

    @property
    def code(self) -> int:
        return self.octets[0]

    @property
    def identifier(self) -> int:
        return self.octets[1]

    def values(self, kind: int) -> list[bytes]:
        return [value for found, value in self.attributes if found == kind]

    @property
    def message(self) -> str:
        return b"".join(self.values(REPLY_MESSAGE)).decode()


def signs(octets: bytes, request: Request, secret: bytes) -> bool:
    """Whether the Response Authenticator is the one for this request (RFC 2865 §3)."""
    return octets[4:20] == md5(octets[:4], request.authenticator, octets[20:], secret)


def read_reply(octets: bytes, source: tuple[str, int], request: Request, secret: bytes) -> Reply:
    """Check the reply as a strict NAS does: lengths, both authenticators, Message-Authenticator first (R18),

    our Proxy-States and no others (R34), nothing but words in a Reject (R42), and words that print (R7).
    """
    assert 20 <= len(octets) <= 4096
    length = int.from_bytes(octets[2:4], "big")
    assert length == len(octets), f"Length {length} of {len(octets)} octets"
    assert octets[1] == request.identifier, "another Identifier"
    assert signs(octets, request, secret), "wrong Response Authenticator"
    attributes = tuple(split_attributes(octets[20:]))
    assert attributes, "no attributes"
    assert attributes[0][0] == MESSAGE_AUTHENTICATOR, "Message-Authenticator is not the first attribute (R18)"
    assert [kind for kind, _ in attributes].count(MESSAGE_AUTHENTICATOR) == 1
    blank = octets[:4] + request.authenticator + octets[20:22] + bytes(16) + octets[38:]
    assert attributes[0][1] == hmac.digest(secret, blank, "md5"), "wrong Message-Authenticator"
    reply = Reply(octets, source, attributes)
    assert reply.values(PROXY_STATE) == request.values(PROXY_STATE), (
        "Proxy-State is not ours, whole, in order"
    )
    if reply.code == ACCESS_REJECT:
        allowed = _OF_A_REJECT if request.values(EAP_MESSAGE) else _OF_A_REJECT - {EAP_MESSAGE}
        kinds = {kind for kind, value in attributes if value[:5] != _MSCHAP_ERROR}
        assert kinds <= allowed, f"a Reject with {kinds} (R42, R44)"
    for text in reply.values(REPLY_MESSAGE):
        assert text, "an empty Reply-Message"
        # A menu has lines.
        shown = text.decode().replace("\n", "") if reply.code == ACCESS_CHALLENGE else text.decode()
        assert shown.isprintable(), f"Reply-Message {text!r} (R7)"
    return reply


def split_attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while octets:
        assert len(octets) >= 2, "half an attribute"
        length = octets[1]
        assert 2 <= length <= len(octets), "an attribute runs past the end"
        yield octets[0], octets[2:length]
        octets = octets[length:]


def codes(replies: Iterable[Reply | None]) -> list[int | None]:
    """None: silence."""
    return [None if reply is None else reply.code for reply in replies]
