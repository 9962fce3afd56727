"""What a server sends: results, entries, references, extended and intermediate responses (RFC 4511 §4)."""

from __future__ import annotations

from dataclasses import field

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import Cursor, MalformedMessage, expect
from authproxy.protocols.ldap.controls import Control, encode_controls
from authproxy.protocols.ldap.framing import Frame
from authproxy.values import light_dataclass

BIND_RESPONSE = 0x61
SEARCH_ENTRY = 0x64
SEARCH_DONE = 0x65
MODIFY_RESPONSE = 0x67
ADD_RESPONSE = 0x69
DELETE_RESPONSE = 0x6B
MODIFY_DN_RESPONSE = 0x6D
COMPARE_RESPONSE = 0x6F
SEARCH_REFERENCE = 0x73
EXTENDED_RESPONSE = 0x78
INTERMEDIATE_RESPONSE = 0x79

NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"

_REFERRAL = 0xA3
_SERVER_CREDENTIALS = 0x87
_RESPONSE_NAME = 0x8A
_RESPONSE_VALUE = 0x8B
_INTERMEDIATE_NAME = 0x80
_INTERMEDIATE_VALUE = 0x81


@light_dataclass(frozen=True, slots=True)
class Result:
    """LDAPResult. `code` may be one that isn't in ResultCode; `diagnostic` is for logs, never for users."""

    code: int
    diagnostic: str = ""
    matched_dn: str = ""
    referral: tuple[str, ...] = ()


@light_dataclass(frozen=True, slots=True)
class BindResponse:
    result: Result
    server_credentials: bytes | None = field(default=None, repr=False)


@light_dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    values: tuple[bytes, ...]


@light_dataclass(frozen=True, slots=True)
class SearchResultEntry:
    dn: str
    attributes: tuple[Attribute, ...] = ()

    def values(self, name: str) -> tuple[bytes, ...]:
        """The values of this attribute. Case doesn't matter in its name (RFC 4512 §2.5), and it may be sent in several
        parts.
        """
        wanted = name.lower()
        found = [each.values for each in self.attributes if each.name.lower() == wanted]
        return found[0] if len(found) == 1 else tuple(value for values in found for value in values)


@light_dataclass(frozen=True, slots=True)
class SearchResultReference:
    uris: tuple[str, ...]


@light_dataclass(frozen=True, slots=True)
class SearchResultDone:
    result: Result


@light_dataclass(frozen=True, slots=True)
class ExtendedResponse:
    result: Result
    name: str | None = None
    value: bytes | None = field(default=None, repr=False)


@light_dataclass(frozen=True, slots=True)
class IntermediateResponse:
    name: str | None = None
    value: bytes | None = field(default=None, repr=False)


@light_dataclass(frozen=True, slots=True)
class OtherResult:
    """The answer to an operation with nothing but a result: Modify, Add, Delete, ModifyDN, Compare."""

    tag: int
    result: Result


Response = (
    BindResponse
    | SearchResultEntry
    | SearchResultReference
    | SearchResultDone
    | ExtendedResponse
    | IntermediateResponse
    | OtherResult
)

_RESULTS_ALONE = frozenset(
    {MODIFY_RESPONSE, ADD_RESPONSE, DELETE_RESPONSE, MODIFY_DN_RESPONSE, COMPARE_RESPONSE}
)


def encode_response(message_id: int, response: Response, controls: tuple[Control, ...] = ()) -> bytes:
    """The octets of a message."""
    content = ber.integer(message_id) + _encode(response)
    if controls:
        content += encode_controls(controls)
    return ber.tlv(ber.SEQUENCE, content)


def notice_of_disconnection(code: int, diagnostic: str = "") -> bytes:
    """§4.4.1: sent before a connection is closed without the client's wish."""
    return encode_response(0, ExtendedResponse(Result(code, diagnostic), NOTICE_OF_DISCONNECTION))


def _encode(response: Response) -> bytes:  # noqa: PLR0911 - a case each
    match response:
        case BindResponse(result, credentials):
            content = _encode_result(result)
            if credentials is not None:
                content += ber.tlv(_SERVER_CREDENTIALS, credentials)
            return ber.tlv(BIND_RESPONSE, content)
        case SearchResultEntry(dn, attributes):
            listed = b"".join(map(_encode_attribute, attributes))
            return ber.tlv(SEARCH_ENTRY, ber.text(dn) + ber.tlv(ber.SEQUENCE, listed))
        case SearchResultReference(uris):
            return ber.tlv(SEARCH_REFERENCE, b"".join(map(ber.text, uris)))
        case SearchResultDone(result):
            return ber.tlv(SEARCH_DONE, _encode_result(result))
        case ExtendedResponse(result, name, value):
            content = _encode_result(result) + _optional(name, value, _RESPONSE_NAME, _RESPONSE_VALUE)
            return ber.tlv(EXTENDED_RESPONSE, content)
        case IntermediateResponse(name, value):
            content = _optional(name, value, _INTERMEDIATE_NAME, _INTERMEDIATE_VALUE)
            return ber.tlv(INTERMEDIATE_RESPONSE, content)
        case OtherResult(tag, result):
            return ber.tlv(tag, _encode_result(result))


def _encode_result(result: Result) -> bytes:
    content = (
        ber.integer(result.code, ber.ENUMERATED) + ber.text(result.matched_dn) + ber.text(result.diagnostic)
    )
    if result.referral:
        content += ber.tlv(_REFERRAL, b"".join(map(ber.text, result.referral)))
    return content


def _encode_attribute(attribute: Attribute) -> bytes:
    values = b"".join(ber.tlv(ber.OCTET_STRING, value) for value in attribute.values)
    return ber.tlv(ber.SEQUENCE, ber.text(attribute.name) + ber.tlv(ber.SET, values))


def _optional(name: str | None, value: bytes | None, name_tag: int, value_tag: int) -> bytes:
    content = b"" if name is None else ber.text(name, name_tag)
    return content if value is None else content + ber.tlv(value_tag, value)


# What nearly every answer of a login is: success, without a word.
_SUCCESS = bytes((ber.ENUMERATED, 1, 0, ber.OCTET_STRING, 0, ber.OCTET_STRING, 0))
_SUCCESSES: dict[int, Response] = {
    BIND_RESPONSE: BindResponse(Result(0)),
    SEARCH_DONE: SearchResultDone(Result(0)),
}


def decode_response(frame: Frame) -> Response:
    """The operation in this frame. Raises MalformedMessage."""
    success = _SUCCESSES.get(frame.tag)
    if success is not None and frame.octets[frame.start : frame.stop] == _SUCCESS:
        return success
    if frame.tag == SEARCH_ENTRY:
        return _decode_entry(frame.octets, frame.start, frame.stop)
    cursor = Cursor(frame.octets, frame.start, frame.stop)
    match frame.tag:
        case 0x61:
            result = _decode_result(cursor)
            credentials = cursor.octets(_SERVER_CREDENTIALS) if cursor.peek() is not None else None
            response: Response = BindResponse(result, credentials)
        case 0x65:
            response = SearchResultDone(_decode_result(cursor))
        case 0x73:
            response = SearchResultReference(_decode_uris(cursor))
        case 0x78:
            result = _decode_result(cursor)
            response = ExtendedResponse(result, *_decode_optional(cursor, _RESPONSE_NAME, _RESPONSE_VALUE))
        case 0x79:
            named = _decode_optional(cursor, _INTERMEDIATE_NAME, _INTERMEDIATE_VALUE)
            response = IntermediateResponse(*named)
        case tag if tag in _RESULTS_ALONE:
            response = OtherResult(tag, _decode_result(cursor))
        case tag:
            raise MalformedMessage("operation", f"tag 0x{tag:02x} is no response")
    cursor.finish()
    return response


def _decode_result(cursor: Cursor) -> Result:
    code = cursor.integer(ber.ENUMERATED)
    matched_dn = _lenient(cursor)
    diagnostic = _lenient(cursor)
    referral = _decode_uris(cursor.enter(_REFERRAL)) if cursor.peek() == _REFERRAL else ()
    return Result(code, diagnostic, matched_dn, referral)


def _lenient(cursor: Cursor) -> str:
    """Words for a log; servers write them in any codec."""
    return cursor.octets().decode("utf-8", "replace")


def _decode_uris(cursor: Cursor) -> tuple[str, ...]:
    uris = []
    while cursor.peek() is not None:
        uris.append(_lenient(cursor))
    if not uris:
        raise MalformedMessage("truncated", "a referral to nowhere")
    return tuple(uris)


def _decode_entry(octets: bytes, at: int, end: int) -> SearchResultEntry:
    start, at = expect(octets, at, end, ber.OCTET_STRING)
    dn = ber.utf8(octets[start:at])
    at, stop = expect(octets, at, end, ber.SEQUENCE)
    attributes = []
    while at < stop:
        at, attribute_stop = expect(octets, at, stop, ber.SEQUENCE)
        start, at = expect(octets, at, attribute_stop, ber.OCTET_STRING)
        name = ber.utf8(octets[start:at])
        at, values_stop = expect(octets, at, attribute_stop, ber.SET)
        if values_stop != attribute_stop:
            raise _trailing(attribute_stop - values_stop)
        values = []
        while at < values_stop:
            start, at = expect(octets, at, values_stop, ber.OCTET_STRING)
            values.append(octets[start:at])
        attributes.append(Attribute(name, tuple(values)))
    if stop != end:
        raise _trailing(end - stop)
    return SearchResultEntry(dn, tuple(attributes))


def _trailing(octets: int) -> MalformedMessage:
    return MalformedMessage("trailing", f"{octets} octets behind the last element")


def _decode_optional(cursor: Cursor, name_tag: int, value_tag: int) -> tuple[str | None, bytes | None]:
    name = cursor.text(name_tag) if cursor.peek() == name_tag else None
    value = cursor.octets(value_tag) if cursor.peek() == value_tag else None
    return name, value
