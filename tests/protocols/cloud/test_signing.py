"""The published and computed vectors, another's signer at the other end, and forgeries."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import duo_client.client
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.cloud.dates import read_date
from authproxy.protocols.cloud.signing import (
    Received,
    Refusal,
    Signed,
    Signer,
    Unsigned,
    Version,
    canonical,
    canonical_headers,
    canonical_params,
    digest_of,
    parse_params,
    verify,
)
from authproxy.secret import Secret

IKEY = "DIXXXXXXXXXXXXXXXXXX"
SKEY = Secret(b"deadbeef" * 5)
HOST = "API-XXXXXXXX.duosecurity.com"
DATE = "Tue, 21 Aug 2012 17:29:18 -0000"
NOW = read_date(DATE)
V3_USER = "jürgen.o'brien+test@exämple.com"
V3 = [
    ("username", V3_USER),
    ("factor", "push"),
    ("device", "auto"),
    ("async", "1"),
    ("pushinfo", "from=login%20portal&domain=例え.jp"),
    ("type", "Größe ~ (é) 😀"),
]
V3_BODY = (
    b'{"async":"1","device":"auto","factor":"push","pushinfo":"from=login%20portal&domain=\\u4f8b\\u3048.jp",'
    b'"type":"Gr\\u00f6\\u00dfe ~ (\\u00e9) \\ud83d\\ude00","username":"j\\u00fcrgen.o\'brien+test@ex\\u00e4mple.com"}'
)
V5 = [
    ("a", "1"),
    ("a", "10"),
    ("a", "2"),
    ("foo", "1"),
    ("foo_bar", "2"),
    ("ipaddr", ""),
    ("username", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t"),
]
V6_BODY = b'{"ipaddr":"10.2.3.4","username":"narroway"}'


def digest(
    version: Version,
    method: str,
    path: str,
    pairs: Sequence[tuple[str, str]] = (),
    *,
    body: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
    date: str = DATE,
    hash_name: str = "sha512",
    skey: Secret = SKEY,
) -> str:
    text = canonical(
        version,
        date=date,
        method=method,
        host=HOST,
        path=path,
        params=canonical_params(pairs),
        body=body,
        headers=canonical_headers(headers),
    )
    return digest_of(skey, text, hash_name)


REALNAME = [("realname", "First Last"), ("username", "root")]
LIST = "/accounts/v1/account/list"


def test_v0_the_published_example() -> None:
    published = Secret(b"Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep")
    assert canonical_params(REALNAME) == "realname=First%20Last&username=root"
    assert (
        digest(Version.V2, "POST", LIST, REALNAME, hash_name="sha1", skey=published)
        == "2d97d6166319781b5a3a07af39d366f491234edc"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"version": 2, "path": LIST, "pairs": REALNAME, "hash_name": "sha1"},
            "5697be4bfd1b2e787c28acbeb7db6e91ab7fbb26",
            id="V1-sha1",
        ),
        pytest.param(
            {"version": 2, "path": LIST, "pairs": REALNAME},
            "2d7677736c2e367b876784b007fd8adbf06d17aabeae7c40340020a1fd7d23ae"
            "7c7b82cf4a3d332be9f41a48513b37e18fa5e2fcec8172fbd72c348a4a92d8be",
            id="V1-sha512",
        ),
        pytest.param(
            {"version": 5, "method": "GET", "path": "/auth/v2/check"},
            "2ac1359b37aa427e9dbee4016927028787cc6eb6da3ad472529a43a7a1c32e89"
            "c86654567e7782ff03ca3df02c72070681e31e29f80be65dddf0c29791ef9d65",
            id="V2-v5",
        ),
        pytest.param(
            {"version": 2, "method": "GET", "path": "/auth/v2/check"},
            "37b23555c8bb5f80349d5721ad5de70efee03ead4e43e3527de4dcc77f97b0c7"
            "f2a383051dbe3ca4305697d1e2f2cf91cfcc7014f05f6f6c768e21db9d6da62e",
            id="V2-v2",
        ),
        pytest.param(
            {"version": 2, "path": "/auth/v2/auth", "pairs": V3, "hash_name": "sha1"},
            "507eb0031783c54968aa6289f9bc830e481ae150",
            id="V3-sha1",
        ),
        pytest.param(
            {"version": 2, "path": "/auth/v2/auth", "pairs": V3},
            "3679fb386bab3ccfb8e088f47494e18f524fc83e79615b1f4b212c2727a8ac82"
            "c89e6b578f49a92734d62f10ac43f7847b6a6f15e067ae9bd0432041b107908e",
            id="V3-v2",
        ),
        pytest.param(
            {"version": 5, "path": "/auth/v2/auth", "body": V3_BODY},
            "d23e86028523cc8052fc66cddfe76faf9495228c34d0bda610cf52c98670c73a"
            "e2bb46237965b48a0c600ac2fab425ef34cfa42e571b420fc8feec28da03f296",
            id="V3-v5",
        ),
        pytest.param(
            {
                "version": 5,
                "method": "GET",
                "path": "/auth/v2/auth_status",
                "pairs": [("txid", "45f7c92b-f45f-4862-8545-e0f58e78075a")],
            },
            "c3d2c91eaba8d1e9641cfd6f038249dd25b3922b408c6785394431bb5530572c"
            "4c1f91f1c6a3fc4b6b646d48b1bc92d8e370b1a8073e4cc467c49b44e66f97e5",
            id="V4",
        ),
        pytest.param(
            {"version": 2, "path": "/auth/v2/preauth", "pairs": V5},
            "76deb6f90eb9b41b4a484aee365764cc92808f4faa2f3a12b81081a5052bc416"
            "881e2d4bca1a4dec2e1a45cb7f31b67d150fcdeb0f8bd5c9b86d93dbbfee987f",
            id="V5",
        ),
        pytest.param(
            {"version": 4, "path": "/auth/v2/preauth", "body": V6_BODY},
            "1336bf29cd30617fc4ae2404fa534052a964cfd1c84f88b542c4db31eb37dfec"
            "f17f545e4fc741fb56c51f030ca9884e8b1e4055d7a2a9a63cbd180d61c5c06c",
            id="V6-v4",
        ),
        pytest.param(
            {"version": 5, "path": "/auth/v2/preauth", "body": V6_BODY},
            "1d7c1a5d15986c1fb46af51e6bd34fbc6359e814ae0bf0a156ffb8054df69b6f"
            "1f771fc2c28f99794df1016a9057c8f768382f43a63816974b416cc818bd37b2",
            id="V6-v5",
        ),
        pytest.param(
            {
                "version": 5,
                "path": "/auth/v2/preauth",
                "body": V6_BODY,
                "headers": [("x-duo-Foo", "bar"), ("Accept", "*/*"), ("X-Duo-Date", DATE)],
            },
            "1abe307310cf34153983e54b0a7ea20c3179ec3d1661ba658a88033c38e0a718"
            "de2b52785535accd9bc82d3d24923ec2637b5419166c9cbbd97be601e853f373",
            id="V6-headers",
        ),
        pytest.param(
            {
                "version": 5,
                "path": "/auth/v2/preauth",
                "body": V6_BODY,
                "headers": [("x-duo-date", DATE)],
            },
            "53a402abaf43c06f235ea17dbe9a5af40f2a8e9774492e365a58b6e89e57fa03"
            "6db4f6dd99e1c5293398e4898f9df16b798fc2d21f195f76b28d690d7699ba3e",
            id="V7",
        ),
        pytest.param(
            {"version": 5, "path": "/auth/v2/enroll", "body": b"{}"},
            "6d277aff5e4f25978e1b7f31d53cfdf10028122d770cfa36fb3029ecdc211ef5"
            "ee4ccff8c3b0f7d13ba536d834d67f6aec1efa6c96466f54897308a723df9100",
            id="V8",
        ),
        pytest.param(
            {
                "version": 5,
                "path": "/auth/v2/auth",
                "body": '{"username":"jürgen","factor":"push","device":"auto"}'.encode(),
                "date": "Tue, 21 Aug 2012 17:29:18 GMT",
            },
            "492ac50aeb59e75e028f6cee40d94ad3c418f8675f656a12496524da29488660"
            "df54523d910532248573c30fb5f80405819744a16653a80903631e9859914a93",
            id="V9",
        ),
        pytest.param(
            {
                "version": 1,
                "path": "/rest/v1/preauth.bson",
                "pairs": [("failmode", "open"), ("hostname", "vm"), ("ipaddr", "10.9.8.7"), ("user", "bob")],
                "hash_name": "sha1",
            },
            "a49e5f8a1afe173c8077c6822eb88db412df0cd0",
            id="V10-sha1",
        ),
        pytest.param(
            {
                "version": 1,
                "path": "/rest/v1/preauth",
                "pairs": [("failmode", "open"), ("hostname", "vm"), ("ipaddr", "10.9.8.7"), ("user", "bob")],
            },
            "51608941b44d47cf510eca04367687987e415ce467ff1cf8471efdb6d8cce8ce"
            "d1802dc5a1e4a9d0bf285d480c5cccf00e599a7f94f9c54cad589a7eee993def",
            id="V10-sha512",
        ),
        pytest.param(
            {
                "version": 2,
                "path": "/auth/v2/preauth",
                "pairs": [
                    ("failmode", "open"),
                    ("hostname", "vm"),
                    ("ipaddr", "10.9.8.7"),
                    ("text_prompt", "1"),
                    ("username", "bob"),
                ],
                "date": "Tue, 21 Aug 2012 17:29:18 +0000",
            },
            "29657deacd899d4d383b1c17bb2c151bc5ebc6d36eef583bf934e5f94f6aa702"
            "b415f8a0e21b443de2eed5c06cb50c3a18427e532ec20048c9d5449802a7b554",
            id="V11",
        ),
    ],
)
def test_vectors(given: dict[str, Any], expected: str) -> None:
    given = {"method": "POST"} | given
    assert digest(Version(given.pop("version")), given.pop("method"), given.pop("path"), **given) == expected


def test_lines_5_to_7_of_the_vectors() -> None:
    assert canonical_params(V3).startswith(
        "async=1&device=auto&factor=push&pushinfo=from%3Dlogin%2520portal%26domain"
    )
    assert canonical_params(V5) == (
        "a=1&a=10&a=2&foo=1&foo_bar=2&ipaddr=&username=%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F%3A%3B%3C%3D%3E%3F"
        "%40%5B%5C%5D%5E_%60%7B%7C%7D~%20%09"
    )
    both = canonical_headers([("X-Duo-Date", DATE), ("x-duo-Foo", "bar")])
    assert hashlib.sha512(both.encode()).hexdigest().startswith("835780c2d8acbcf1")
    assert (
        hashlib.sha512(canonical_headers([("x-duo-date", DATE)]).encode())
        .hexdigest()
        .startswith("379dbaf99303e804")
    )
    assert hashlib.sha512(V3_BODY).hexdigest().startswith("f8d91d485a7ac862")


def test_v1_header() -> None:
    sha1 = digest(Version.V2, "POST", LIST, REALNAME, hash_name="sha1")
    assert authorization(sha1) == (
        "Basic RElYWFhYWFhYWFhYWFhYWFhYWFg6NTY5N2JlNGJmZDFiMmU3ODdjMjhhY2JlYjdkYjZlOTFhYjdmYmIyNg=="
    )


def authorization(digest: str, ikey: str = IKEY) -> str:
    return "Basic " + base64.b64encode(f"{ikey}:{digest}".encode()).decode()


def signed(
    *,
    method: str = "POST",
    path: str = "/auth/v2/preauth",
    body: bytes = V6_BODY,
    query: str = "",
    date: str = DATE,
) -> Received:
    params = canonical_params(parse_params(query) or [])
    header = Signer(IKEY, SKEY, HOST).authorization(
        date=date, method=method, path=path, params=params, body=body
    )
    headers = (
        ("Host", HOST),
        ("Date", date),
        ("Authorization", header),
        ("Content-Type", "application/json"),
    )
    return Received(method, HOST, path, query, headers, body)


def with_header(received: Received, name: str, value: str | None) -> Received:
    kept = [pair for pair in received.headers if pair[0].lower() != name.lower()]
    return replace(received, headers=[*kept, (name, value)] if value is not None else kept)


def known(ikey: str) -> Secret | None:
    return SKEY if ikey == IKEY else None


def refusal(received: Received, now: float = NOW, *, legacy: bool = False) -> Refusal:
    with pytest.raises(Unsigned) as refused:
        verify(received, skey_of=known, now=now, legacy=legacy)
    return refused.value.refusal


def test_what_we_sign_is_believed() -> None:
    for received in (
        signed(),
        signed(body="ünïcode".encode()),
        signed(method="GET", path="/auth/v2/auth_status", query="txid=a%20b&x=&x=1", body=b""),
    ):
        assert verify(received, skey_of=known, now=NOW + 299) == Signed(IKEY, Version.V5)
    # A space may come as `+`: what is signed is the meaning.
    plus = signed(method="GET", query="txid=a%20b", body=b"")
    assert verify(replace(plus, query="txid=a+b"), skey_of=known, now=NOW).version is Version.V5


@given(key=st.binary(max_size=300), path=st.text(max_size=300))
def test_a_key_of_any_length_makes_the_digest_that_hmac_makes(key: bytes, path: str) -> None:
    header = Signer(IKEY, Secret(key), HOST).authorization(date=DATE, method="POST", path=path, body=b"{}")
    text = canonical(Version.V5, date=DATE, method="POST", host=HOST, path=path, params="", body=b"{}")
    expected = f"{IKEY}:{hmac.new(key, text, hashlib.sha512).hexdigest()}"
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == expected


def test_the_digest_may_be_upper_case_and_the_host_any_case() -> None:
    received = signed()
    text = base64.b64decode(received.header("authorization")[6:]).decode()
    ikey, _, found = text.partition(":")
    again = with_header(received, "Authorization", authorization(found.upper(), ikey))
    assert verify(replace(again, host=HOST.lower()), skey_of=known, now=NOW).version is Version.V5


@pytest.mark.parametrize(
    "change",
    [
        {"body": V6_BODY[:-1]},
        {"body": V6_BODY + b" "},
        {"body": b""},
        {"method": "PUT"},
        {"path": "/auth/v2/auth"},
        {"path": "/AUTH/v2/preauth"},
        {"host": "api-yyyyyyyy.duosecurity.com"},
        {"query": "username=mallory"},
    ],
)
def test_a_request_that_was_changed(change: dict[str, Any]) -> None:
    assert refusal(replace(signed(), **change)) is Refusal.WRONG_SIGNATURE


def test_a_header_that_was_changed_or_added() -> None:
    received = signed()
    assert (
        refusal(with_header(received, "Date", "Tue, 21 Aug 2012 17:29:19 -0000")) is Refusal.WRONG_SIGNATURE
    )
    # X-Duo-Date wins: an old signature can't be given a new date by adding one.
    assert refusal(with_header(received, "X-Duo-Date", DATE.replace("18 ", "19 "))) is Refusal.WRONG_SIGNATURE


def test_an_x_duo_header_is_signed() -> None:
    headers = [("X-Duo-Foo", "bar"), ("Date", DATE)]
    right = digest(Version.V5, "POST", "/p", body=b"{}", headers=headers)
    received = Received("POST", HOST, "/p", "", [*headers, ("Authorization", authorization(right))], b"{}")
    assert verify(received, skey_of=known, now=NOW).version is Version.V5
    assert refusal(with_header(received, "X-Duo-Foo", "baz")) is Refusal.WRONG_SIGNATURE
    assert refusal(with_header(received, "X-Duo-Foo", None)) is Refusal.WRONG_SIGNATURE


def test_every_bit_of_the_digest_counts() -> None:
    received = signed()
    found = base64.b64decode(received.header("authorization")[6:]).decode().partition(":")[2]
    for at in range(len(found)):
        other = format(int(found[at], 16) ^ 1, "x")
        forged = found[:at] + other + found[at + 1 :]
        assert (
            refusal(with_header(received, "Authorization", authorization(forged))) is Refusal.WRONG_SIGNATURE
        )


def test_another_key() -> None:
    received = signed()
    found = base64.b64decode(received.header("authorization")[6:]).decode().partition(":")[2]
    assert (
        refusal(with_header(received, "Authorization", authorization(found, "DIYYY"))) is Refusal.UNKNOWN_KEY
    )
    # A key that isn't known is not given away by the digest that is made in its place.
    text = canonical(
        Version.V5, date=DATE, method="POST", host=HOST, path="/auth/v2/preauth", params="", body=V6_BODY
    )
    nobody = digest_of(Secret(b"0" * 40), text)
    assert (
        refusal(with_header(received, "Authorization", authorization(nobody, "DIYYY"))) is Refusal.UNKNOWN_KEY
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic",
        "Basic !!",
        "Bearer " + base64.b64encode(b"a:b").decode(),
        "Basic YQ==",
        "Basic /////w==",
        "Basic ü",
    ],
)
def test_no_credentials(value: str) -> None:
    assert refusal(with_header(signed(), "Authorization", value)) is Refusal.MISSING_CREDENTIALS
    assert refusal(with_header(signed(), "Authorization", None)) is Refusal.MISSING_CREDENTIALS


def test_dates() -> None:
    assert refusal(signed(), NOW + 301) is Refusal.BAD_TIMESTAMP
    assert refusal(signed(), NOW - 301) is Refusal.BAD_TIMESTAMP
    assert refusal(signed(date="yesterday")) is Refusal.BAD_TIMESTAMP
    assert refusal(with_header(signed(), "Date", None)) is Refusal.MISSING_TIMESTAMP
    for date in (
        "Tue, 21 Aug 2012 17:29:18 +0000",
        "Tue, 21 Aug 2012 17:29:18 GMT",
        "Tue, 21 Aug 2012 19:29:18 +0200",
    ):
        assert verify(signed(date=date), skey_of=known, now=NOW).version is Version.V5


FORM = urlencode([("username", "jürgen b"), ("ipaddr", "")]).encode()
PAIRS = [("username", "jürgen b"), ("ipaddr", "")]


def form(version: Version, hash_name: str, **changes: Any) -> Received:
    found = digest(version, "POST", "/auth/v2/preauth", PAIRS, hash_name=hash_name)
    headers = [
        ("Date", DATE),
        ("Authorization", authorization(found)),
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
    ]
    return replace(Received("POST", HOST, "/auth/v2/preauth", "", headers, FORM), **changes)


def test_older_forms() -> None:
    assert verify(form(Version.V2, "sha512"), skey_of=known, now=NOW).version is Version.V2
    assert refusal(form(Version.V2, "sha1")) is Refusal.WRONG_SIGNATURE
    assert refusal(form(Version.V1, "sha512")) is Refusal.WRONG_SIGNATURE
    assert verify(form(Version.V2, "sha1"), skey_of=known, now=NOW, legacy=True).version is Version.V2
    for hash_name in ("sha1", "sha512"):
        undated = with_header(form(Version.V1, hash_name), "Date", None)
        assert verify(undated, skey_of=known, now=NOW, legacy=True).version is Version.V1
        assert (
            verify(form(Version.V1, hash_name), skey_of=known, now=NOW + 9999, legacy=True).version
            is Version.V1
        )


def test_the_second_form_signs_all_that_counts() -> None:
    """It signs query or form: what it leaves out must not be there."""
    received = form(Version.V2, "sha512")
    assert refusal(replace(received, body=FORM + b"&username=mallory")) is Refusal.WRONG_SIGNATURE
    assert refusal(replace(received, query="username=mallory")) is Refusal.WRONG_SIGNATURE
    empty = digest(Version.V2, "POST", "/auth/v2/preauth")
    json = with_header(
        with_header(received, "Content-Type", "application/json"), "Authorization", authorization(empty)
    )
    assert refusal(replace(json, body=b'{"username":"mallory"}')) is Refusal.WRONG_SIGNATURE
    assert refusal(replace(json, body=b"\xff")) is Refusal.WRONG_SIGNATURE
    assert refusal(replace(received, body=b"\xff=1")) is Refusal.WRONG_SIGNATURE


def test_v4_is_believed_without_its_last_line() -> None:
    found = digest(Version.V4, "POST", "/auth/v2/preauth", body=V6_BODY)
    received = with_header(signed(), "Authorization", authorization(found))
    assert verify(received, skey_of=known, now=NOW).version is Version.V4
    assert refusal(replace(received, body=b"{}")) is Refusal.WRONG_SIGNATURE


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_canonical_params_mean_the_same_as_the_wire(pairs: list[tuple[str, str]]) -> None:
    pairs = [(name or "n", value) for name, value in pairs if "\ud800" not in name + value]
    try:
        wire = urlencode(pairs)
    except UnicodeEncodeError:
        return
    assert canonical_params(parse_params(wire) or []) == canonical_params(pairs)


@given(
    method=st.text(max_size=8),
    path=st.text(max_size=20),
    query=st.text(max_size=40),
    headers=st.lists(
        st.tuples(st.sampled_from(["Authorization", "Date", "X-Duo-A", "Content-Type"]), st.text())
    ),
    body=st.binary(max_size=40),
    legacy=st.booleans(),
)
def test_garbage_is_unsigned(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, legacy: bool
) -> None:
    received = Received(method, HOST, path, query, headers, body)
    assert isinstance(refusal(received, legacy=legacy), Refusal)


@given(
    params=st.dictionaries(
        st.sampled_from(["username", "factor", "ipaddr", "a b"]),
        st.text(st.characters(codec="utf-8")),
        max_size=4,
    ),
    version=st.sampled_from([2, 4, 5]),
    method=st.sampled_from(["GET", "POST"]),
)
def test_a_client_of_others_is_believed(params: dict[str, str], version: int, method: str) -> None:
    """duo_client signs, we verify."""
    client = duo_client.client.Client(IKEY, SKEY.reveal().decode(), HOST, sig_version=version)
    sent: dict[str, Any] = {}

    def remember(method: str, uri: str, body: Any, headers: dict[bytes, bytes]) -> tuple[None, bytes]:
        sent.update(method=method, uri=uri, body=body or b"", headers=headers)
        return None, b""

    client._make_request = remember
    client.api_call(method, "/auth/v2/auth", dict(params))
    path, _, query = sent["uri"].partition("?")
    body = sent["body"].encode() if isinstance(sent["body"], str) else sent["body"]
    headers = [(name.decode(), value.decode()) for name, value in sent["headers"].items()]
    received = Received(sent["method"], HOST, path, query, headers, body)
    now = read_date(received.header("date"))
    assert verify(received, skey_of=known, now=now) == Signed(IKEY, Version(version))


def test_we_sign_as_others_do() -> None:
    ours = Signer(IKEY, SKEY, HOST).authorization(
        date=DATE, method="POST", path="/auth/v2/auth", body=V3_BODY
    )
    theirs = duo_client.client.sign(
        IKEY, SKEY.reveal().decode(), "POST", HOST, "/auth/v2/auth", DATE, 5, {}, body=V3_BODY.decode()
    )
    assert ours == theirs
    txid = canonical_params([("txid", "a b/ü")])
    assert txid == f"txid={quote('a b/ü', safe='~')}"
    ours = Signer(IKEY, SKEY, HOST).authorization(
        date=DATE, method="GET", path="/auth/v2/auth_status", params=txid
    )
    theirs = duo_client.client.sign(
        IKEY,
        SKEY.reveal().decode(),
        "GET",
        HOST,
        "/auth/v2/auth_status",
        DATE,
        5,
        {b"txid": ["a b/ü".encode()]},
        body="",
    )
    assert ours == theirs


def test_a_signer_does_not_print_its_key() -> None:
    assert "deadbeef" not in repr(Signer(IKEY, SKEY, HOST))
