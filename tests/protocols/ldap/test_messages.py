"""Requests, responses and controls: decode undoes encode, garbage raises one error."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3.operation.bind import bind_operation
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from pyasn1.codec.ber import decoder, encoder

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.controls import (
    PASSWORD_POLICY,
    Control,
    PasswordPolicy,
    decode_controls,
    encode_password_policy,
    password_policy,
)
from authproxy.protocols.ldap.filter import MAX_DEPTH, And, Equality, Filter, Not, Present, encode_filter
from authproxy.protocols.ldap.framing import frame_of
from authproxy.protocols.ldap.requests import (
    BIND,
    SEARCH,
    AnyRequest,
    BindRequest,
    OtherChoice,
    OtherRequest,
    RepeatedSearch,
    Request,
    Sasl,
    Scope,
    SearchRequest,
    Simple,
    decode_request,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    BIND_RESPONSE,
    NOTICE_OF_DISCONNECTION,
    SEARCH_DONE,
    Attribute,
    BindResponse,
    ExtendedResponse,
    Response,
    Result,
    SearchResultDone,
    SearchResultEntry,
    decode_response,
    encode_response,
    notice_of_disconnection,
)
from authproxy.secret import Secret

from . import strategies

ALICE = BindRequest("uid=alice,dc=test", Simple(Secret(b"right")))


def request_of(operation: bytes) -> AnyRequest:
    """What this operation says."""
    return decode_request(frame_of(ber.tlv(ber.SEQUENCE, ber.integer(1) + operation)))


@given(strategies.message_ids, strategies.requests, strategies.controls)
def test_requests(message_id: int, request: Request, controls: tuple[Control, ...]) -> None:
    frame = frame_of(encode_request(message_id, request, controls))
    assert frame.message_id == message_id
    assert decode_request(frame) == request
    assert decode_controls(frame) == controls


@given(strategies.searches, strategies.filters)
def test_a_repeated_search_is_the_search_with_one_term_more(search: SearchRequest, term: Filter) -> None:
    always = search.filter.parts if isinstance(search.filter, And) else (search.filter,)
    whole = replace(search, filter=And((term, *always)))
    repeated = RepeatedSearch(search).asking(term)
    assert encode_request(7, repeated) == encode_request(7, whole)
    assert repeated.size_limit == search.size_limit


@given(strategies.searches, strategies.texts)
def test_a_repeated_search_elsewhere_is_the_search_with_that_base(search: SearchRequest, base: str) -> None:
    repeated = RepeatedSearch(search).at(base)
    assert encode_request(7, repeated) == encode_request(7, replace(search, base=base))
    assert repeated.size_limit == search.size_limit


@pytest.mark.parametrize("response", [BindResponse(Result(0)), SearchResultDone(Result(0))])
def test_success_in_any_form(response: BindResponse | SearchResultDone) -> None:
    """What is read at a glance, and the same with a longer length, as Windows writes it."""
    octets = encode_response(1, response)
    tag = BIND_RESPONSE if isinstance(response, BindResponse) else SEARCH_DONE
    content = bytes((ber.ENUMERATED, 0x84, 0, 0, 0, 1, 0, 4, 0x84, 0, 0, 0, 0, 4, 0))
    longer = ber.tlv(ber.SEQUENCE, ber.integer(1) + ber.tlv(tag, content))
    assert decode_response(frame_of(octets)) == decode_response(frame_of(longer)) == response


@given(strategies.message_ids, strategies.responses, strategies.controls)
def test_responses(message_id: int, response: Response, controls: tuple[Control, ...]) -> None:
    frame = frame_of(encode_response(message_id, response, controls))
    assert frame.message_id == message_id
    assert decode_response(frame) == response
    assert decode_controls(frame) == controls


@given(st.integers(0x40, 0x7E).filter(lambda tag: tag & 0x1F != 0x1F), st.binary(max_size=120))
def test_garbage_raises_one_error(tag: int, content: bytes) -> None:
    frame = frame_of(ber.tlv(ber.SEQUENCE, ber.integer(1) + ber.tlv(tag, content)))
    for decode in (decode_request, decode_response):
        with contextlib.suppress(MalformedMessage):
            decode(frame)


@given(strategies.requests | strategies.responses, strategies.controls, st.data())
def test_a_mutation_raises_one_error_or_none(
    operation: object, controls: tuple[Control, ...], data: st.DataObject
) -> None:
    encode = encode_response if type(operation).__module__.endswith("responses") else encode_request
    octets = bytearray(encode(5, operation, controls))  # type: ignore[arg-type]
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        frame = frame_of(bytes(octets), unsolicited=True)
        decode_controls(frame)
        decode_request(frame)
    except MalformedMessage:
        pass
    with contextlib.suppress(MalformedMessage):
        decode_response(frame_of(bytes(octets), unsolicited=True))


def test_the_bind_that_another_library_writes() -> None:
    """ldap3's RFC 4511 schema, by pyasn1: a second opinion on the octets."""
    operation = bind_operation(3, "SIMPLE", "uid=alice,dc=test", b"right")
    message = LDAPMessage()
    message["messageID"] = MessageID(9)
    message["protocolOp"] = ProtocolOp().setComponentByName("bindRequest", operation)
    assert encode_request(9, ALICE) == encoder.encode(message)


@settings(max_examples=20)
@given(strategies.results, st.none() | strategies.octets)
def test_another_library_reads_our_bind_response(result: Result, credentials: bytes | None) -> None:
    octets = encode_response(3, BindResponse(result, credentials))
    message, rest = decoder.decode(octets, asn1Spec=LDAPMessage())
    read = message["protocolOp"]["bindResponse"]
    assert rest == b""
    assert int(read["resultCode"]) == result.code
    assert (bytes(read["matchedDN"]), bytes(read["diagnosticMessage"])) == (
        result.matched_dn.encode(),
        result.diagnostic.encode(),
    )
    if credentials is not None:
        assert bytes(read["serverSaslCreds"]) == credentials


@pytest.mark.parametrize("tag", [0x89, 0x8A, 0x8B, 0xA7])
def test_choices_that_rfc_4511_doesnt_have(tag: int) -> None:
    """L13: Active Directory's Sicily binds are seen for what they are."""
    request = request_of(ber.tlv(BIND, ber.integer(3) + ber.text("") + ber.tlv(tag, b"NTLM")))
    assert request == BindRequest("", OtherChoice(tag))


def test_an_empty_mechanism_and_absent_credentials_are_told_apart() -> None:
    for sasl in (Sasl(""), Sasl("", Secret(b"")), Sasl("EXTERNAL")):
        assert decode_request(frame_of(encode_request(1, BindRequest("", sasl)))) == BindRequest("", sasl)


def test_passwords_dont_print() -> None:
    request = decode_request(frame_of(encode_request(1, ALICE)))
    assert "right" not in repr(request)
    assert "token" not in repr(BindRequest("", Sasl("GSS-SPNEGO", Secret(b"token"))))


@pytest.mark.parametrize(
    "operation",
    [
        ber.tlv(BIND, b""),
        ber.tlv(BIND, ber.integer(3) + ber.text("a")),
        ber.tlv(BIND, ber.integer(3) + ber.text("a") + ber.tlv(0x80, b"") + ber.text("more")),
        ber.tlv(BIND, ber.integer(3) + ber.tlv(4, b"\xff") + ber.tlv(0x80, b"")),
        ber.tlv(SEARCH, ber.text("")),
        ber.tlv(0x50, b""),
        ber.tlv(0x50, b"\xff"),
        ber.tlv(0x42, b"x"),
        ber.tlv(0x77, b""),
    ],
)
def test_malformed_requests(operation: bytes) -> None:
    with pytest.raises(MalformedMessage):
        request_of(operation)


def test_operations_that_are_only_relayed() -> None:
    assert request_of(ber.tlv(0x66, b"whatever")) == OtherRequest(0x66)


def test_a_scope_that_doesnt_exist() -> None:
    octets = encode_request(1, SearchRequest("", Scope.BASE))
    with pytest.raises(MalformedMessage):
        decode_request(frame_of(octets.replace(b"\x0a\x01\x00\x0a", b"\x0a\x01\x07\x0a", 1)))


def _nested_not(depth: int) -> bytes:
    octets = encode_filter(Present("a"))
    for _ in range(depth):
        octets = ber.tlv(0xA2, octets)
    return octets


def _search(wanted: bytes) -> bytes:
    octets = encode_request(1, SearchRequest("", Scope.BASE, And(())))
    plain = frame_of(octets)
    content = octets[plain.start : plain.stop].replace(encode_filter(And(())), wanted, 1)
    return ber.tlv(ber.SEQUENCE, ber.integer(1) + ber.tlv(SEARCH, content))


def test_filters_as_deep_as_allowed() -> None:
    request = decode_request(frame_of(_search(_nested_not(MAX_DEPTH - 1))))
    assert isinstance(request, SearchRequest)
    assert isinstance(request.filter, Not)


@pytest.mark.parametrize("depth", [MAX_DEPTH, 100_000])
def test_deeper_filters_cost_nothing(depth: int) -> None:
    """L3, CVE-2020-12243: no recursion, no stack."""
    with pytest.raises(MalformedMessage) as caught:
        decode_request(frame_of(_search(_nested_not(depth))))
    assert caught.value.cause == "depth"


def test_deep_sequences_cost_nothing() -> None:
    octets = b""
    for _ in range(100_000):
        octets = ber.tlv(ber.SEQUENCE, octets)
    with pytest.raises(MalformedMessage):
        frame_of(octets)
    with pytest.raises(MalformedMessage):
        decode_response(
            frame_of(ber.tlv(ber.SEQUENCE, ber.integer(1) + ber.tlv(0x64, ber.text("") + octets)))
        )


def test_attribute_names_compare_without_case() -> None:
    entry = SearchResultEntry("cn=a", (Attribute("sAMAccountName", (b"alice",)),))
    assert entry.values("samaccountname") == (b"alice",)
    assert entry.values("uid") == ()


def test_an_attribute_in_several_pieces() -> None:
    """slapd sends one so when it was loaded so: a second name must not go unseen (R33)."""
    entry = SearchResultEntry("cn=a", (Attribute("uid", (b"alice",)), Attribute("UID", (b"root",))))
    assert entry.values("uid") == (b"alice", b"root")


def test_a_notice_of_disconnection() -> None:
    notice = decode_response(frame_of(notice_of_disconnection(52, "bye"), unsolicited=True))
    assert notice == ExtendedResponse(Result(52, "bye"), NOTICE_OF_DISCONNECTION)


def test_words_in_another_codec_are_still_words() -> None:
    octets = encode_response(1, BindResponse(Result(49, "Paßwort")))
    latin = octets.replace("Paßwort".encode(), "Pa\xdfwort".encode("latin-1") + b"!")
    response = decode_response(frame_of(latin))
    assert isinstance(response, BindResponse)
    assert response.result.diagnostic == "Pa�wort!"


@given(
    st.builds(PasswordPolicy, numbers := strategies.numbers, st.none(), st.none() | st.integers(0, 8))
    | st.builds(PasswordPolicy, st.none(), st.none() | numbers, st.none() | st.integers(0, 8))
)
def test_password_policies(policy: PasswordPolicy) -> None:
    assert password_policy((Control("1.2.3"), encode_password_policy(policy))) == policy


def test_no_password_policy() -> None:
    assert password_policy(()) is None
    assert password_policy((Control(PASSWORD_POLICY),)) is None


@given(st.binary(max_size=20))
def test_a_malformed_password_policy(value: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        password_policy((Control(PASSWORD_POLICY, value=value),))


def test_what_an_equality_filter_looks_like() -> None:
    assert encode_filter(Equality("uid", b"a*)(uid=*")) == b"\xa3\x10\x04\x03uid\x04\x09a*)(uid=*"
