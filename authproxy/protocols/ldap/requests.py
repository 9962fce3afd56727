"""What a client sends: binds, searches, extended operations, Abandon, Unbind (RFC 4511 §4.2 to §4.14)."""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum
from typing import TypeVar

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import Cursor, MalformedMessage
from authproxy.protocols.ldap.controls import Control, encode_controls
from authproxy.protocols.ldap.filter import AND, And, Filter, Present, decode_filter, encode_filter
from authproxy.protocols.ldap.framing import Frame
from authproxy.secret import Secret
from authproxy.values import light_dataclass

E = TypeVar("E", bound=IntEnum)

BIND = 0x60
UNBIND = 0x42
SEARCH = 0x63
MODIFY = 0x66
ADD = 0x68
DELETE = 0x4A
MODIFY_DN = 0x6C
COMPARE = 0x6E
ABANDON = 0x50
EXTENDED = 0x77

START_TLS = "1.3.6.1.4.1.1466.20037"
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"

# §4.5.1.8: no attributes at all; an empty list would mean all of them.
NO_ATTRIBUTES = ("1.1",)

_SIMPLE = 0x80
_SASL = 0xA3
_REQUEST_NAME = 0x80
_REQUEST_VALUE = 0x81


class Scope(IntEnum):
    BASE = 0
    ONE_LEVEL = 1
    SUBTREE = 2


class Dereference(IntEnum):
    """How aliases are followed."""

    NEVER = 0
    IN_SEARCHING = 1
    FINDING_BASE = 2
    ALWAYS = 3


@light_dataclass(frozen=True, slots=True)
class Simple:
    password: Secret = field(repr=False)


@light_dataclass(frozen=True, slots=True)
class Sasl:
    """`credentials` None: the field is absent, which isn't the same as empty (§4.2)."""

    mechanism: str
    credentials: Secret | None = field(default=None, repr=False)


@light_dataclass(frozen=True, slots=True)
class OtherChoice:
    """An authentication choice outside RFC 4511, such as Active Directory's [9] to [11]."""

    tag: int


@light_dataclass(frozen=True, slots=True)
class BindRequest:
    name: str
    authentication: Simple | Sasl | OtherChoice
    version: int = 3


@light_dataclass(frozen=True, slots=True)
class UnbindRequest:
    pass


@light_dataclass(frozen=True, slots=True)
class SearchRequest:
    """Limits: 0 means none; `time_limit` in seconds. Without attributes: all user attributes (see NO_ATTRIBUTES)."""

    base: str
    scope: Scope
    filter: Filter = Present("objectClass")
    attributes: tuple[str, ...] = ()
    size_limit: int = 0
    time_limit: int = 0
    types_only: bool = False
    dereference: Dereference = Dereference.NEVER


@light_dataclass(frozen=True, slots=True)
class EncodedSearch:
    """A SearchRequest, encoded already."""

    octets: bytes
    size_limit: int = 0


class RepeatedSearch:
    """A search that differs from the one before in its base, or in one term of its filter: the rest is encoded once.

    `request.filter` is what entries have to match beside that term. What a login's search has to say is the same
    nine times of ten, and saying it anew was the largest part of a login's LDAP.
    """

    __slots__ = ("_always", "_base", "_behind_base", "_filter", "_size_limit", "_tail")

    def __init__(self, request: SearchRequest) -> None:
        self._base = ber.text(request.base)
        head, self._tail = _encode_around_filter(request)
        self._behind_base = head.removeprefix(self._base)
        self._filter = encode_filter(request.filter)
        parts = request.filter.parts if isinstance(request.filter, And) else (request.filter,)
        self._always = b"".join(map(encode_filter, parts))
        self._size_limit = request.size_limit

    def at(self, base: str) -> EncodedSearch:
        """The same search with another base."""
        return self._encoded(ber.text(base), self._filter)

    def asking(self, term: Filter) -> EncodedSearch:
        """The same search with this term added."""
        return self._encoded(self._base, ber.tlv(AND, encode_filter(term) + self._always))

    def _encoded(self, base: bytes, wanted: bytes) -> EncodedSearch:
        octets = ber.tlv(SEARCH, base + self._behind_base + wanted + self._tail)
        return EncodedSearch(octets, self._size_limit)


@light_dataclass(frozen=True, slots=True)
class AbandonRequest:
    message_id: int


@light_dataclass(frozen=True, slots=True)
class ExtendedRequest:
    name: str
    value: bytes | None = None


@light_dataclass(frozen=True, slots=True)
class OtherRequest:
    """An operation that isn't decoded here; its octets are in the frame."""

    tag: int


Request = BindRequest | UnbindRequest | SearchRequest | AbandonRequest | ExtendedRequest
AnyRequest = Request | OtherRequest
Sendable = Request | EncodedSearch


def encode_request(message_id: int, request: Sendable, controls: tuple[Control, ...] | bytes = ()) -> bytes:
    """The octets of a message. `controls` may be encoded already (encode_controls)."""
    content = ber.integer(message_id) + _encode(request)
    if controls:
        content += controls if isinstance(controls, bytes) else encode_controls(controls)
    return ber.tlv(ber.SEQUENCE, content)


def _encode(request: Sendable) -> bytes:
    match request:
        case BindRequest(name, authentication, version):
            content = ber.integer(version) + ber.text(name) + _encode_authentication(authentication)
            return ber.tlv(BIND, content)
        case EncodedSearch(octets):
            return octets
        case SearchRequest():
            head, tail = _encode_around_filter(request)
            return ber.tlv(SEARCH, head + encode_filter(request.filter) + tail)
        case ExtendedRequest(name, value):
            content = ber.text(name, _REQUEST_NAME)
            return ber.tlv(EXTENDED, content if value is None else content + ber.tlv(_REQUEST_VALUE, value))
        case AbandonRequest(abandoned):
            return ber.integer(abandoned, ABANDON)
        case UnbindRequest():
            return ber.tlv(UNBIND, b"")


def _encode_authentication(authentication: Simple | Sasl | OtherChoice) -> bytes:
    match authentication:
        case Simple(password):
            return ber.tlv(_SIMPLE, password.reveal())
        case Sasl(mechanism, credentials):
            content = ber.text(mechanism)
            if credentials is not None:
                content += ber.tlv(ber.OCTET_STRING, credentials.reveal())
            return ber.tlv(_SASL, content)
        case OtherChoice(tag):
            return ber.tlv(tag, b"")


def _encode_around_filter(request: SearchRequest) -> tuple[bytes, bytes]:
    """What stands before a search's filter, and behind it."""
    head = (
        ber.text(request.base),
        ber.integer(request.scope, ber.ENUMERATED),
        ber.integer(request.dereference, ber.ENUMERATED),
        ber.integer(request.size_limit),
        ber.integer(request.time_limit),
        ber.boolean(request.types_only),
    )
    return b"".join(head), ber.tlv(ber.SEQUENCE, b"".join(map(ber.text, request.attributes)))


def decode_request(frame: Frame) -> AnyRequest:
    """The operation in this frame. Raises MalformedMessage."""
    cursor = Cursor(frame.octets, frame.start, frame.stop)
    match frame.tag:
        case 0x60:
            request: AnyRequest = _decode_bind(cursor)
        case 0x63:
            request = _decode_search(cursor)
        case 0x77:
            request = _decode_extended(cursor)
        case 0x42:
            request = UnbindRequest()
        case 0x50:
            return AbandonRequest(_primitive_integer(frame))
        case tag:
            return OtherRequest(tag)
    cursor.finish()
    return request


def _primitive_integer(frame: Frame) -> int:
    """Abandon's content is the number itself."""
    content = frame.octets[frame.start : frame.stop]
    return Cursor(ber.tlv(ABANDON, content), 0, len(content) + 2).integer(ABANDON)


def _decode_bind(cursor: Cursor) -> BindRequest:
    version = cursor.integer()
    name = cursor.text()
    match cursor.peek():
        case None:
            raise MalformedMessage("truncated", "a bind without an authentication choice")
        case 0x80:
            authentication: Simple | Sasl | OtherChoice = Simple(Secret(cursor.octets(_SIMPLE)))
        case 0xA3:
            authentication = _decode_sasl(cursor.enter(_SASL))
        case tag:
            cursor.element()
            authentication = OtherChoice(tag)
    return BindRequest(name, authentication, version)


def _decode_sasl(cursor: Cursor) -> Sasl:
    mechanism = cursor.text()
    credentials = Secret(cursor.octets()) if cursor.peek() is not None else None
    cursor.finish()
    return Sasl(mechanism, credentials)


def _decode_search(cursor: Cursor) -> SearchRequest:
    base = cursor.text()
    scope = _enumerated(cursor, Scope)
    dereference = _enumerated(cursor, Dereference)
    size_limit = cursor.integer()
    time_limit = cursor.integer()
    types_only = cursor.boolean()
    wanted = decode_filter(cursor)
    listed = cursor.enter(ber.SEQUENCE)
    attributes = []
    while listed.peek() is not None:
        attributes.append(listed.text())
    return SearchRequest(
        base, scope, wanted, tuple(attributes), size_limit, time_limit, types_only, dereference
    )


def _enumerated(cursor: Cursor, kind: type[E]) -> E:
    value = cursor.integer(ber.ENUMERATED)
    try:
        return kind(value)
    except ValueError:
        raise MalformedMessage("enumerated", f"{kind.__name__.lower()} {value}") from None


def _decode_extended(cursor: Cursor) -> ExtendedRequest:
    name = cursor.text(_REQUEST_NAME)
    value = cursor.octets(_REQUEST_VALUE) if cursor.peek() is not None else None
    return ExtendedRequest(name, value)
