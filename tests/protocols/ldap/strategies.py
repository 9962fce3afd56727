"""Hypothesis strategies for LDAP messages."""

from __future__ import annotations

from hypothesis import strategies as st

from authproxy.protocols.ldap.controls import Control
from authproxy.protocols.ldap.filter import (
    And,
    Approximate,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
)
from authproxy.protocols.ldap.requests import (
    AbandonRequest,
    BindRequest,
    Dereference,
    ExtendedRequest,
    Sasl,
    Scope,
    SearchRequest,
    Simple,
    UnbindRequest,
)
from authproxy.protocols.ldap.responses import (
    COMPARE_RESPONSE,
    MODIFY_RESPONSE,
    Attribute,
    BindResponse,
    ExtendedResponse,
    IntermediateResponse,
    OtherResult,
    Result,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
)
from authproxy.secret import Secret

message_ids = st.integers(1, 2**31 - 1)
numbers = st.integers(0, 2**31 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
octets = st.binary(max_size=300)
secrets = octets.map(Secret)
names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{0,15}(;[a-zA-Z0-9-]{1,8})?", fullmatch=True)
oids = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,4})){1,6}", fullmatch=True)
attributes = names | oids
pieces = st.binary(min_size=1, max_size=20)

controls = st.lists(st.builds(Control, oids, st.booleans(), st.none() | octets), max_size=3).map(tuple)

substrings = st.builds(
    Substrings, attributes, st.none() | pieces, st.lists(pieces, max_size=3).map(tuple), st.none() | pieces
).filter(lambda made: made.initial is not None or made.any != () or made.final is not None)
extensibles = st.builds(
    Extensible, st.none() | attributes, st.none() | attributes, octets, st.booleans()
).filter(lambda made: made.rule is not None or made.attribute is not None)
leaves = (
    st.builds(Equality, attributes, octets)
    | st.builds(GreaterOrEqual, attributes, octets)
    | st.builds(LessOrEqual, attributes, octets)
    | st.builds(Approximate, attributes, octets)
    | st.builds(Present, attributes)
    | substrings
    | extensibles
)


def _nest(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    parts = st.lists(inner, max_size=4).map(tuple)
    return st.builds(And, parts) | st.builds(Or, parts) | st.builds(Not, inner)


filters: st.SearchStrategy[Filter] = st.recursive(leaves, _nest, max_leaves=12)

searches = st.builds(
    SearchRequest,
    texts,
    st.sampled_from(Scope),
    filters,
    st.lists(attributes, max_size=4).map(tuple),
    numbers,
    numbers,
    st.booleans(),
    st.sampled_from(Dereference),
)
requests = (
    st.builds(
        BindRequest,
        texts,
        st.builds(Simple, secrets) | st.builds(Sasl, texts, st.none() | secrets),
        st.integers(0, 127),
    )
    | searches
    | st.builds(ExtendedRequest, oids, st.none() | octets)
    | st.builds(AbandonRequest, message_ids)
    | st.just(UnbindRequest())
)

results = st.builds(Result, numbers, texts, texts, st.lists(texts, max_size=3).map(tuple))
entries = st.builds(
    SearchResultEntry,
    texts,
    st.lists(st.builds(Attribute, names, st.lists(octets, max_size=3).map(tuple)), max_size=4).map(tuple),
)
responses = (
    st.builds(BindResponse, results, st.none() | octets)
    | entries
    | st.builds(SearchResultReference, st.lists(texts, min_size=1, max_size=3).map(tuple))
    | st.builds(SearchResultDone, results)
    | st.builds(ExtendedResponse, results, st.none() | oids, st.none() | octets)
    | st.builds(IntermediateResponse, st.none() | oids, st.none() | octets)
    | st.builds(OtherResult, st.sampled_from([MODIFY_RESPONSE, COMPARE_RESPONSE]), results)
)
