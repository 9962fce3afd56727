"""The same operations straight to slapd and through the daemon: the octets that come back are equal (L20).

But for the root DSE, which tells what works behind the proxy (L22).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.controls import Control, decode_controls
from authproxy.protocols.ldap.filter import And, Equality, Present, encode_filter
from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import (
    WHO_AM_I,
    AbandonRequest,
    Dereference,
    ExtendedRequest,
    Request,
    Scope,
    SearchRequest,
    UnbindRequest,
)
from authproxy.protocols.ldap.responses import SearchResultEntry, decode_response
from tests.system.bench.world import World
from tests.system.ldap_apps import Apps, Wire, add_apps, result_of, simple
from tests.system.ldap_octets import attribute, change, compare, modify, operation, sequence, whole
from tests.system.parts.slapd import ADMIN, ADMIN_PASSWORD, GROUPS, PEOPLE, SUFFIX, Slapd, password_of
from tests.system.test_ldap_slapd import ALICE, BOB, at_slapd

pytestmark = pytest.mark.system

PAGED, SORTED, VIEW, MATCHED, MANAGE_DSA_IT = (
    "1.2.840.113556.1.4.319",
    "1.2.840.113556.1.4.473",
    "2.16.840.1.113730.3.4.9",
    "1.2.826.0.1.3344810.2.3",
    "2.16.840.1.113730.3.4.2",
)
PASSWORD_MODIFY = "1.3.6.1.4.1.4203.1.11.1"
ASSERTION, PRE_READ, POST_READ, NO_SUCH = "1.3.6.1.1.12", "1.3.6.1.1.13.1", "1.3.6.1.1.13.2", "1.2.3.4.5.6.7"
SYNC, CANCEL = "1.3.6.1.4.1.4203.1.9.1.1", "1.3.6.1.1.8"
PHOTO = bytes(range(256)) * 8000  # 2 MB
NEW = f"uid=new,{PEOPLE}"
NICKNAME = f"uid=nickname,{SUFFIX}"
ELSEWHERE = f"ou=elsewhere,{SUFFIX}"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[socket.socket]:
    """Where a referral points to, and nobody must go with anybody's password (L25)."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory, elsewhere: socket.socket) -> Iterator[Slapd]:
    with Slapd(
        tmp_path_factory.mktemp("slapd"), users=3000, extra="sockbuf_max_incoming_auth 8000000"
    ) as running:
        _add(running, _ADMIN, _referral(elsewhere), _ALIAS)
        yield running


def _add(slapd: Slapd, *entries: bytes) -> None:
    with Wire(slapd.port) as wire:
        assert wire.bind(ADMIN, ADMIN_PASSWORD) == 0
        for number, entry in enumerate(entries, 2):
            wire.write(whole(number, operation(0x68, entry)))
            frame = wire.last(number)
            assert frame is not None
            assert result_of(decode_response(frame)) == 0


@pytest.fixture
def apps(world: World, slapd: Slapd) -> Apps:
    made = add_apps(world, exempt_ous=[ADMIN])
    at_slapd(world, slapd)
    world.know_service_account(ADMIN, ADMIN_PASSWORD)
    world.start()
    return made


def _asserted(name: str, value: bytes) -> Control:
    """RFC 4528"""
    return Control(ASSERTION, True, encode_filter(Equality(name, value)))


def _changed_and_read() -> bytes:
    """RFC 4527: what is there afterwards comes with the answer."""
    names = sequence(ber.text("sn"), ber.text("description"))
    changes = sequence(change(2, "sn", b"Newest"), change(1, "description", b"one"))
    return operation(0x66, ber.text(NEW) + changes, Control(POST_READ, True, names))


def page(size: int, cookie: bytes = b"") -> Control:
    return Control(PAGED, True, sequence(ber.integer(size), ber.tlv(ber.OCTET_STRING, cookie)))


def people(*attributes: str, size_limit: int = 0) -> SearchRequest:
    return SearchRequest(PEOPLE, Scope.SUBTREE, Present("uid"), attributes, size_limit)


# An exemption is for entries that are there (L11), and slapd's rootdn needn't be one.
_ADMIN = ber.text(ADMIN) + sequence(
    attribute("objectClass", b"organizationalRole", b"simpleSecurityObject"),
    attribute("cn", b"admin"),
    attribute("userPassword", ADMIN_PASSWORD.encode()),
)


_ALIAS = ber.text(NICKNAME) + sequence(
    attribute("objectClass", b"alias", b"extensibleObject"),
    attribute("uid", b"nickname"),
    attribute("aliasedObjectName", ALICE.encode()),
)


def _referral(to: socket.socket) -> bytes:
    return ber.text(ELSEWHERE) + sequence(
        attribute("objectClass", b"referral", b"extensibleObject"),
        attribute("ou", b"elsewhere"),
        attribute("ref", b"ldap://127.0.0.1:%d/ou=elsewhere,dc=other" % to.getsockname()[1]),
    )


BY_NAME = sequence(sequence(ber.text("uid"), b"\x81\x01\xff"))
FROM_THE_TENTH = sequence(ber.integer(2), ber.integer(5), ber.tlv(0xA0, ber.integer(10) + ber.integer(0)))

SCRIPT: list[tuple[Request | bytes, tuple[Control, ...]]] = [
    (ExtendedRequest(WHO_AM_I), ()),
    (people("cn", "mail", size_limit=100), ()),
    (people("1.1", size_limit=7), ()),
    (SearchRequest(GROUPS, Scope.SUBTREE, attributes=("cn",)), (Control(SORTED, True, BY_NAME),)),
    (
        SearchRequest(GROUPS, Scope.SUBTREE),
        (Control(SORTED, True, BY_NAME), Control(VIEW, True, FROM_THE_TENTH)),
    ),
    (SearchRequest(SUFFIX, Scope.ONE_LEVEL), ()),
    (SearchRequest(SUFFIX, Scope.ONE_LEVEL), (Control(MANAGE_DSA_IT, True),)),
    (SearchRequest(ELSEWHERE, Scope.BASE), ()),
    (modify(ELSEWHERE, change(0, "description", b"x")), ()),
    (SearchRequest(ELSEWHERE, Scope.BASE), (Control(MANAGE_DSA_IT, True),)),
    (
        SearchRequest(ALICE, Scope.BASE, Present("objectClass"), ("mail", "objectClass")),
        (Control(MATCHED, True, sequence(encode_filter(Equality("objectClass", b"posixAccount")))),),
    ),
    (people(), (Control(NO_SUCH, True),)),
    (people("cn", size_limit=3), (Control(NO_SUCH, False, b"x"),)),
    (SearchRequest("cn=referral,ou=results," + SUFFIX, Scope.BASE), ()),
    (SearchRequest("ou=nowhere," + SUFFIX, Scope.SUBTREE), ()),
    (SearchRequest("not a dn", Scope.BASE), ()),
    (SearchRequest(SUFFIX, Scope.SUBTREE, And((Equality("uid", b"\xc3\xbcn\xc3\xafcode"),))), ()),
    (compare(f"cn=vpn,{GROUPS}", "member", ALICE.encode()), ()),
    (compare(f"cn=vpn,{GROUPS}", "member", b"cn=nobody"), ()),
    (compare(ALICE, "nothingKnown", b"x"), ()),
    (compare(ELSEWHERE, "ou", b"elsewhere"), ()),
    (compare(ALICE, "sn", b"Test", _asserted("uid", b"alice")), ()),
    (compare(ALICE, "sn", b"Test", _asserted("uid", b"bob")), ()),
    (SearchRequest(ALICE, Scope.BASE, types_only=True), ()),
    (SearchRequest(BOB, Scope.BASE, attributes=("*", "+")), ()),
    (SearchRequest(NICKNAME, Scope.BASE), ()),
    (SearchRequest(NICKNAME, Scope.BASE, dereference=Dereference.ALWAYS), ()),
    (SearchRequest(PEOPLE, Scope.SUBTREE, Present("uid"), ("uid",), time_limit=1, size_limit=1), ()),
    (
        operation(
            0x68,
            ber.text(NEW)
            + sequence(
                attribute("objectClass", b"inetOrgPerson"),
                attribute("uid", b"new"),
                attribute("cn", b"New"),
                attribute("cn;lang-de", b"Neu"),
                attribute("sn", b"New"),
                attribute("jpegPhoto", PHOTO),
            ),
        ),
        (),
    ),
    (SearchRequest(NEW, Scope.BASE), ()),
    (modify(NEW, change(0, "description", b"one", b"two"), change(2, "sn", b"Newer")), ()),
    (modify(NEW, change(0, "nothingKnown", b"x")), ()),
    (
        operation(
            0x66,
            ber.text(NEW) + sequence(change(2, "sn", b"x")),
            Control(PRE_READ, True, sequence(ber.text("sn"))),
        ),
        (),
    ),
    (_changed_and_read(), ()),
    (modify(NEW, change(3, "uidNumber", b"1")), ()),
    (operation(0x4A, PEOPLE.encode()), ()),
    (operation(0x6C, ber.text(NEW) + ber.text("uid=newer") + ber.boolean(True)), ()),
    (
        operation(
            0x6C,
            ber.text(f"uid=newer,{PEOPLE}")
            + ber.text("uid=newer")
            + ber.boolean(True)
            + ber.tlv(0x80, GROUPS.encode()),
        ),
        (),
    ),
    (
        operation(
            0x6C,
            ber.text(f"uid=newer,{GROUPS}")
            + ber.text("uid=newer")
            + ber.boolean(True)
            + ber.tlv(0x80, PEOPLE.encode()),
        ),
        (),
    ),
    (SearchRequest(f"uid=newer,{PEOPLE}", Scope.BASE, attributes=("uid", "cn;lang-de", "description")), ()),
    (operation(0x4A, f"uid=newer,{PEOPLE}".encode()), ()),
    (operation(0x4A, f"uid=newer,{PEOPLE}".encode()), ()),
    (ExtendedRequest("1.2.3.4.5.6", b"\x00\x01"), ()),
    (SearchRequest("cn=Subschema", Scope.BASE, attributes=("+",)), ()),
    (SearchRequest("", Scope.SUBTREE), ()),
]


def changed_password(password: str) -> ExtendedRequest:
    """RFC 3062, from this one to this one. Over TLS only, through the daemon (L23)."""
    value = password.encode()
    return ExtendedRequest(PASSWORD_MODIFY, sequence(ber.tlv(0x81, value), ber.tlv(0x82, value)))


def play(port: int, name: str, password: str, ca: Path | None = None) -> list[bytes]:
    """What comes back for each operation. Ids are given by the place in the script."""
    answers: list[bytes] = []
    with Wire(port, timeout=30, ca=ca) as wire:
        wire.send(1, simple(name, password))
        answers.append(_until(wire, 1))
        if ca is not None:
            wire.send(990, changed_password(password))
            answers.append(_until(wire, 990))
        for number, (request, controls) in enumerate(SCRIPT, 2):
            wire.write(whole(number, request, *controls))
            answers.append(_until(wire, number))
        answers += _pages(wire, len(SCRIPT) + 2)
        # Several at once, one of them abandoned; their answers may come in any order.
        for number in (900, 901, 902):
            wire.send(number, people("uid", size_limit=5))
        answers += [b for _, b in sorted(_several(wire, {900, 901, 902}).items())]
        wire.send(903, AbandonRequest(902))
        wire.send(904, UnbindRequest())
        assert wire.to_end() == []
    return answers


def _until(wire: Wire, message_id: int) -> bytes:
    before = len(wire.octets)
    assert wire.last(message_id) is not None
    return wire.octets[before:]


def _several(wire: Wire, wanted: set[int]) -> dict[int, bytes]:
    got: dict[int, bytes] = dict.fromkeys(wanted, b"")
    while wanted:
        frame = wire.frame()
        assert frame is not None
        got[frame.message_id] += frame.octets
        if frame.tag == 0x65:
            wanted = wanted - {frame.message_id}
    return got


def _pages(wire: Wire, number: int) -> list[bytes]:
    """Cookies are the server's and belong to the connection."""
    answers, cookie = [], b""
    for at in range(number, number + 50):
        before = len(wire.octets)
        wire.send(at, people("cn"), page(200, cookie))
        done = wire.last(at)
        assert done is not None
        answers.append(wire.octets[before:])
        control = next(iter(decode_controls(done)), None)
        if control is None or control.value is None:
            break  # more entries than this user may have
        inner = ber.Cursor(control.value, 0, len(control.value)).enter(ber.SEQUENCE)
        inner.integer()
        cookie = inner.octets()
        if not cookie:
            break
    assert len(answers) > 2
    return answers


def follow(wire: Wire, name: str, password: str) -> None:
    """RFC 4533 §3.4: groups, and from then on whatever changes in them. Read up to the end of what is there."""
    assert wire.bind(name, password) == 0
    wire.send(
        2,
        SearchRequest(GROUPS, Scope.ONE_LEVEL),
        Control(SYNC, True, sequence(ber.integer(3, ber.ENUMERATED))),
    )
    _read_to(wire, _INTERMEDIATE)


_INTERMEDIATE = 0x79


def _read_to(wire: Wire, tag: int) -> None:
    while (frame := wire.frame()) is not None and frame.tag != tag:
        pass
    assert frame is not None


def test_following_changes(world: World, slapd: Slapd, apps: Apps) -> None:
    """Intermediate responses, entries that come by themselves, and the end of it by Cancel (RFC 3909)."""
    with Wire(slapd.port) as direct, Wire(apps.port) as proxied, Wire(slapd.port) as other:
        assert other.bind(ADMIN, ADMIN_PASSWORD) == 0
        for wire in (direct, proxied):
            follow(wire, ALICE, password_of("alice"))
        for number, kind in ((2, 0), (3, 1)):
            other.write(whole(number, modify(f"cn=vpn,{GROUPS}", change(kind, "description", b"changed"))))
            assert other.last(number) is not None
            for wire in (direct, proxied):
                _read_to(wire, 0x64)
        for wire in (direct, proxied):
            wire.send(3, ExtendedRequest(CANCEL, sequence(ber.integer(2))))
            assert wire.last(2) is not None
            assert wire.last(3) is not None
        assert b"changed" in direct.octets
        assert direct.octets == proxied.octets


@pytest.mark.parametrize("user", ["an exempt account", "a user", "a user over TLS"])
def test_equal_octets(world: World, slapd: Slapd, apps: Apps, elsewhere: socket.socket, user: str) -> None:
    name, password = (ADMIN, ADMIN_PASSWORD) if user == "an exempt account" else (ALICE, password_of("alice"))
    if user == "a user over TLS":
        direct = play(slapd.ldaps_port, name, password, slapd.ca_file)
        proxied = play(apps.ssl_port, name, password, apps.files.authority)
    else:
        direct, proxied = play(slapd.port, name, password), play(apps.port, name, password)
    assert len(direct) == len(proxied)
    for number, (one, other) in enumerate(zip(direct, proxied, strict=True)):
        assert one == other, f"operation {number + 1}"
    assert any(b"dc=other" in one for one in proxied), "references came"
    with pytest.raises(BlockingIOError):
        elsewhere.accept()
    if user == "an exempt account":
        assert max(map(len, direct)) > len(PHOTO)


def test_the_root_dse_tells_what_works(world: World, slapd: Slapd, apps: Apps) -> None:
    def root(port: int) -> dict[str, tuple[bytes, ...]]:
        with Wire(port) as wire:
            wire.send(1, SearchRequest("", Scope.BASE, attributes=("+",)))
            frame: Frame | None = wire.frame()
            assert frame is not None
            entry = decode_response(frame)
            assert isinstance(entry, SearchResultEntry)
            return {attribute.name: attribute.values for attribute in entry.attributes}

    there, here = root(slapd.port), root(apps.port)
    assert "supportedSASLMechanisms" in there
    assert "supportedSASLMechanisms" not in here
    assert b"1.3.6.1.4.1.1466.20037" in here["supportedExtension"]
    for name in set(there) - {"supportedSASLMechanisms", "supportedExtension", "entryDN"}:
        assert here[name] == there[name], name
