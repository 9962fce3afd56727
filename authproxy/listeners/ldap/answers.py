"""What a client is answered: a decision as a bind's result (L15, L16), and refusals of other operations."""

from __future__ import annotations

from dataclasses import field

from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject, Silence
from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.framing import Frame, frame_of
from authproxy.protocols.ldap.requests import ADD, COMPARE, DELETE, EXTENDED, MODIFY, MODIFY_DN, SEARCH
from authproxy.protocols.ldap.responses import (
    ADD_RESPONSE,
    COMPARE_RESPONSE,
    DELETE_RESPONSE,
    EXTENDED_RESPONSE,
    INTERMEDIATE_RESPONSE,
    MODIFY_DN_RESPONSE,
    MODIFY_RESPONSE,
    SEARCH_DONE,
    SEARCH_ENTRY,
    SEARCH_REFERENCE,
    BindResponse,
    ExtendedResponse,
    OtherResult,
    Response,
    Result,
    SearchResultDone,
    decode_response,
    encode_response,
)
from authproxy.protocols.ldap.result import ResultCode
from authproxy.values import light_dataclass

_RESULT_ALONE = {
    MODIFY: MODIFY_RESPONSE,
    ADD: ADD_RESPONSE,
    DELETE: DELETE_RESPONSE,
    MODIFY_DN: MODIFY_DN_RESPONSE,
    COMPARE: COMPARE_RESPONSE,
}
# The operations that are relayed; Bind, Unbind and Abandon have rules of their own.
RELAYED = frozenset({SEARCH, EXTENDED, *_RESULT_ALONE})

# What may answer each of them.
_OF_SEARCH = frozenset({SEARCH_ENTRY, SEARCH_DONE, SEARCH_REFERENCE, INTERMEDIATE_RESPONSE})
ANSWERS = {
    SEARCH: _OF_SEARCH,
    EXTENDED: frozenset({EXTENDED_RESPONSE, INTERMEDIATE_RESPONSE}),
    **{tag: frozenset({answer, INTERMEDIATE_RESPONSE}) for tag, answer in _RESULT_ALONE.items()},
}


def answers(asked: int, tag: int, octets: bytes, *, whole: bool) -> bool:
    """Whether this message, or its beginning, may be an answer to an operation of this tag. Raises MalformedMessage.

    Samba refuses any operation with a critical control that it doesn't know by an ExtendedResponse.
    """
    if tag in ANSWERS[asked]:
        return True
    if tag != EXTENDED_RESPONSE or not whole:
        return False
    response = decode_response(frame_of(octets))
    return isinstance(response, ExtendedResponse) and response.result.code != ResultCode.SUCCESS


# L15: an outage is never 49, for which applications throw good passwords away, and a refused factor never 50 or 53,
# which some take for "logged in, but".
_CODES = {
    Reason.EMPTY_PASSWORD: ResultCode.UNWILLING_TO_PERFORM,
    Reason.PRIMARY_UNAVAILABLE: ResultCode.UNAVAILABLE,
    Reason.FAIL_CLOSED: ResultCode.UNAVAILABLE,
    Reason.CLOUD_REFUSED: ResultCode.UNAVAILABLE,
    Reason.OVERLOADED: ResultCode.BUSY,
    Reason.RATE_LIMITED: ResultCode.BUSY,
    Reason.INTERNAL: ResultCode.OTHER,
}
# One text a code: what a user's phone said is nobody's business who only has the password.
_TEXTS = {
    ResultCode.INVALID_CREDENTIALS: "Login refused.",
    ResultCode.UNWILLING_TO_PERFORM: "A password is required.",
    ResultCode.UNAVAILABLE: "The login can't be checked now.",
    ResultCode.BUSY: "Too many logins at once.",
    ResultCode.OTHER: "Internal error.",
    ResultCode.PROTOCOL_ERROR: "LDAP version 3 only.",
    ResultCode.AUTH_METHOD_NOT_SUPPORTED: "Simple binds only.",
    ResultCode.CONFIDENTIALITY_REQUIRED: "TLS is required.",
    ResultCode.INAPPROPRIATE_AUTHENTICATION: "Anonymous binds are not allowed.",
}


@light_dataclass(frozen=True, slots=True)
class Answered:
    """The directory's own answer to a bind: the operation and its controls, without the message id.

    `username` and `dn`: who has bound, if it succeeded and the entry was confirmed.
    """

    code: int
    content: bytes = field(repr=False)
    username: str = ""
    dn: str = ""


def operation_of(frame: Frame) -> bytes:
    """The operation and its controls: what stands behind the message id."""
    octets, end = frame.octets, len(frame.octets)
    start, _ = ber.expect(octets, 0, end, ber.SEQUENCE)
    _, at = ber.expect(octets, start, end, ber.INTEGER)
    return octets[at:]


def granted(answer: Answered, message_id: int) -> bytes:
    """The directory's own success, with its controls (L17)."""
    return ber.tlv(ber.SEQUENCE, ber.integer(message_id) + answer.content)


def refused(decision: Decision, message_id: int) -> bytes:
    """The BindResponse to everything but an Accept."""
    match decision:
        case Reject(Reason.PRIMARY_REJECTED, _, Answered(code, content)) if code != ResultCode.SUCCESS:
            # L16: with its diagnostics and controls, from which applications read why.
            return ber.tlv(ber.SEQUENCE, ber.integer(message_id) + content)
        case Reject(reason) | Silence(reason):
            code = _CODES.get(reason, ResultCode.INVALID_CREDENTIALS)
        case Challenge() | Accept():
            # LDAP has no challenge, and an Accept has an answer of its own.
            code = ResultCode.OTHER
    return bind_refusal(message_id, code)


def bind_refusal(message_id: int, code: ResultCode) -> bytes:
    """L15: no matched DN, no controls, and one neutral text for each code."""
    return encode_response(message_id, BindResponse(Result(code, _TEXTS[code])))


def refusal(message_id: int, tag: int, code: ResultCode, text: str = "") -> bytes:
    """The final answer to a relayed operation."""
    result = Result(code, text)
    response: Response
    if tag == SEARCH:
        response = SearchResultDone(result)
    elif tag == EXTENDED:
        response = ExtendedResponse(result)
    else:
        response = OtherResult(_RESULT_ALONE[tag], result)
    return encode_response(message_id, response)
