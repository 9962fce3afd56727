"""LDAP applications before a real Active Directory (Samba): every kind of bind name, AD's own refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.controls import Control, decode_controls
from authproxy.protocols.ldap.filter import Equality, Extensible, Present
from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import (
    WHO_AM_I,
    BindRequest,
    ExtendedRequest,
    Request,
    Sasl,
    Scope,
    SearchRequest,
)
from authproxy.protocols.ldap.responses import BindResponse, SearchResultEntry, decode_response
from authproxy.secret import Secret
from tests.system.bench.cloud import User
from tests.system.bench.world import World
from tests.system.ldap_apps import Apps, Wire, add_apps, run, simple
from tests.system.ldap_octets import attribute, change, compare, modify, operation, sequence, whole
from tests.system.parts import samba as ad
from tests.system.parts.samba import USERS_DN, Samba

# A domain takes half a minute to make.
pytestmark = [pytest.mark.system, pytest.mark.long]

SEARCH = SearchRequest(USERS_DN, Scope.ONE_LEVEL)
PAGED, SORTED = "1.2.840.113556.1.4.319", "1.2.840.113556.1.4.473"


@pytest.fixture(scope="module")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    with Samba(tmp_path_factory.mktemp("samba")) as running:
        yield running


def at_samba(world: World, samba: Samba) -> None:
    world.use_real_directory(
        # Not the others': their passwords end with what is said of them.
        {user: ad.password_of(user) for user in ("alice", "bob", "carol")},
        host=samba.address,
        transport="ldaps",
        ssl_ca_certs_file=str(samba.ca_file),
        auth_type="plain",
        bind_dn=ad.SERVICE_DN,
        service_account_password=ad.SERVICE_PASSWORD,
        search_dn=ad.BASE,
    )


@pytest.fixture
def apps(world: World, samba: Samba) -> Apps:
    made = add_apps(world, exempt_ous=[ad.SERVICE_DN, ad.ADMIN_DN], denial_memory=0)
    at_samba(world, samba)
    world.know_service_account(ad.ADMIN_DN, ad.ADMIN_PASSWORD)
    world.start()
    return made


@pytest.mark.parametrize(("user", "exempt"), [("alice", True), ("carol", False)])
def test_a_group_is_exempt_through_the_groups_in_it(
    world: World, samba: Samba, user: str, exempt: bool
) -> None:
    apps = add_apps(world, exempt_groups=[f"CN=vpn,{USERS_DN}"], exempt_users=("alice", "bob"))
    at_samba(world, samba)
    world.start()
    with Wire(apps.port) as wire:
        assert wire.bind(f"{user}@ad.test", ad.password_of(user)) == 0
    assert bool(world.asked(user)) is not exempt


@pytest.mark.parametrize("name", [f"CN=alice,{USERS_DN}", "alice@ad.test", "AD\\alice", "ALICE@AD.TEST"])
def test_every_kind_of_name(world: World, apps: Apps, name: str) -> None:
    password = ad.password_of("alice")
    with Wire(apps.port) as wire:
        assert wire.bind(name, password) == 0
        assert wire.code(2, SEARCH) == 0
        world.cloud.users["alice"].answer = "deny"
        assert wire.bind(name, password, 3) == 49
        assert wire.code(4, SEARCH) == 50
    assert [asked["username"] for asked in world.asked("alice")] == ["alice"] * 2


@pytest.mark.parametrize("name", [ad.SERVICE_DN, "svc@ad.test", "AD\\svc"])
def test_the_service_account_by_every_name(world: World, apps: Apps, name: str) -> None:
    with Wire(apps.port) as wire:
        assert wire.bind(name, ad.SERVICE_PASSWORD) == 0
        assert wire.code(2, SEARCH) == 0
    world.wait_audit(reason="exempt")
    assert not world.asked("svc")


BY_NAME = sequence(sequence(ber.text("sAMAccountName"), b"\x81\x01\xff"))
PHOTO = bytes(range(256)) * 300  # three quarters of what the schema takes
NEW, NEWER, OUTER = (f"CN={name},{USERS_DN}" for name in ("new", "newer", "outer"))
SCRIPT: list[tuple[Request | bytes, tuple[Control, ...]]] = [
    (SearchRequest(USERS_DN, Scope.ONE_LEVEL, attributes=("sAMAccountName", "memberOf", "objectSid")), ()),
    (
        SearchRequest(USERS_DN, Scope.ONE_LEVEL, Present("sAMAccountName"), ("cn",)),
        (Control(SORTED, True, BY_NAME),),
    ),
    (SearchRequest(ad.BASE, Scope.SUBTREE, Equality("sAMAccountName", b"alice")), ()),
    (SearchRequest(f"CN=alice,{USERS_DN}", Scope.BASE, attributes=("tokenGroups", "objectGUID")), ()),
    (
        SearchRequest(f"CN=alice,{USERS_DN}", Scope.BASE, attributes=("nTSecurityDescriptor",)),
        (Control("1.2.840.113556.1.4.801", True, sequence(ber.integer(7))),),
    ),
    (SearchRequest("CN=nobody," + USERS_DN, Scope.BASE), ()),
    (SearchRequest(USERS_DN, Scope.ONE_LEVEL), (Control("1.2.3.4.5", True),)),
    (SearchRequest(USERS_DN, Scope.ONE_LEVEL, attributes=("cn",), size_limit=2), ()),
    (ExtendedRequest(WHO_AM_I), ()),
    (ExtendedRequest("1.2.3.4.5.6", b"\x00\x01"), ()),
    (compare(f"CN=alice,{USERS_DN}", "sAMAccountName", b"Alice"), ()),
    (compare(f"CN=alice,{USERS_DN}", "sAMAccountName", b"bob"), ()),
    # Elsewhere: a referral for an answer, and references among the entries.
    (SearchRequest("DC=other,DC=test", Scope.BASE), ()),
    (SearchRequest(ad.BASE, Scope.SUBTREE, Equality("objectClass", b"crossRef"), ("cn",)), ()),
    (SearchRequest(f"CN=outer,{USERS_DN}", Scope.BASE, attributes=("member;range=0-0",)), ()),
    (
        SearchRequest(f"CN=vpn,{USERS_DN}", Scope.BASE, attributes=("sAMAccountName",)),
        (Control("1.2.840.113556.1.4.1504", True, sequence(ber.text("member"))),),  # entries that it names
    ),
    (
        SearchRequest(f"CN=vpn,{USERS_DN}", Scope.BASE, attributes=("member",)),
        (Control("1.2.840.113556.1.4.529", True, sequence(ber.integer(1))),),  # DNs with GUID and SID
    ),
    (
        SearchRequest(
            ad.BASE, Scope.SUBTREE, Extensible("1.2.840.113556.1.4.1941", "memberOf", OUTER.encode()), ("cn",)
        ),
        (),
    ),
    (
        operation(
            0x68,
            ber.text(NEW)
            + sequence(
                attribute("objectClass", b"contact"),
                attribute("displayName", "Neü".encode()),
                attribute("thumbnailPhoto", PHOTO),
            ),
        ),
        (),
    ),
    (SearchRequest(NEW, Scope.BASE, attributes=("displayName", "thumbnailPhoto")), ()),
    (modify(NEW, change(0, "otherTelephone", b"1", b"2"), change(2, "displayName", b"Newer")), ()),
    (modify(NEW, change(0, "nothingKnown", b"x")), ()),
    (modify(NEW, change(1, "otherTelephone", b"3")), ()),
    (operation(0x6C, ber.text(NEW) + ber.text("CN=newer") + ber.boolean(True)), ()),
    (SearchRequest(NEWER, Scope.BASE, attributes=("otherTelephone", "displayName")), ()),
    (operation(0x4A, NEWER.encode(), Control("1.2.840.113556.1.4.805", True)), ()),
    (operation(0x4A, NEWER.encode()), ()),
]


def play(wire: Wire, name: str, password: str) -> list[bytes]:
    """What comes back for each operation; pages last."""
    with wire:
        answers = []

        def until(message_id: int) -> Frame:
            before = len(wire.octets)
            frame = wire.last(message_id)
            assert frame is not None
            answers.append(wire.octets[before:])
            return frame

        wire.send(1, simple(name, password))
        until(1)
        for number, (request, controls) in enumerate(SCRIPT, 2):
            wire.write(whole(number, request, *controls))
            until(number)
        cookie = b""
        for number in range(100, 120):
            page = Control(PAGED, True, sequence(ber.integer(5), ber.tlv(ber.OCTET_STRING, cookie)))
            wire.send(number, SearchRequest(USERS_DN, Scope.ONE_LEVEL, attributes=("cn",)), page)
            (control,) = decode_controls(until(number))
            assert control.value is not None
            inner = ber.Cursor(control.value, 0, len(control.value)).enter(ber.SEQUENCE)
            inner.integer()
            cookie = inner.octets()
            # Which is of this connection; its length is not.
            answers[-1] = answers[-1].replace(cookie, b"*" * len(cookie)) if cookie else answers[-1]
            if not cookie:
                break
        assert len(answers) > len(SCRIPT) + 2
        return answers


@pytest.mark.parametrize("name", ["alice@ad.test", f"CN=alice,{USERS_DN}", ad.ADMIN_DN])
def test_equal_octets(samba: Samba, apps: Apps, name: str) -> None:
    """L20: the same operations straight to the directory and through the daemon. Only the last may change anything."""
    password = ad.ADMIN_PASSWORD if name == ad.ADMIN_DN else ad.password_of("alice")
    direct = play(Wire(samba.ldaps_port, host=samba.address, ca=samba.ca_file), name, password)
    proxied = play(Wire(apps.ssl_port, ca=apps.files.authority), name, password)
    assert len(direct) == len(proxied)
    for number, (one, other) in enumerate(zip(direct, proxied, strict=True)):
        assert one == other, f"operation {number + 1}"
    if name == ad.ADMIN_DN:
        assert any(PHOTO in answer for answer in direct)


def answer_of(port: int, name: str, password: str, **more: object) -> BindResponse:
    with Wire(port, **more) as wire:  # type: ignore[arg-type]
        wire.send(1, simple(name, password))
        frame = wire.last(1)
        assert frame is not None
        response = decode_response(frame)
        assert isinstance(response, BindResponse)
        return response


@pytest.mark.parametrize(
    ("user", "data"),
    [
        ("disabled", "533"),
        ("locked", "775"),
        ("expired", "532"),
        ("mustchange", "773"),
        ("accexpired", "701"),
    ],
)
def test_refusals_are_ad_s_own(world: World, apps: Apps, user: str, data: str) -> None:
    answer = answer_of(apps.port, f"{user}@ad.test", ad.password_of(user))
    assert answer.result.code == 49
    assert f"data {data}" in answer.result.diagnostic
    assert not world.asked(user)


def test_a_denied_factor_is_none_of_ad_s(world: World, apps: Apps) -> None:
    world.cloud.users["bob"] = User(answer="deny")
    answer = answer_of(apps.port, "bob@ad.test", ad.password_of("bob"))
    assert (answer.result.code, answer.result.diagnostic) == (49, "Login refused.")


def test_what_ad_advertises_and_is_not_here(world: World, apps: Apps) -> None:
    with Wire(apps.port) as wire:
        wire.send(1, SearchRequest("", Scope.BASE))
        frame = wire.frame()
        assert frame is not None
        root = decode_response(frame)
        assert isinstance(root, SearchResultEntry)
        assert not root.values("supportedSASLMechanisms")
        assert root.values("supportedLDAPVersion") == (b"3",)
        assert root.values("defaultNamingContext") == (ad.BASE.encode(),)
        for mechanism in ("GSS-SPNEGO", "GSSAPI", "EXTERNAL", "DIGEST-MD5"):
            assert wire.code(2, BindRequest("", Sasl(mechanism, Secret(b"x")))) == 7


def test_ldapsearch(world: World, apps: Apps) -> None:
    options = ("-LLL", "-H", apps.ldaps_url, "-D", "carol@ad.test", "-w", ad.password_of("carol"))
    done = run(
        "ldapsearch", *options, "-b", USERS_DN, "(sAMAccountName=bob)", "memberOf", ca=apps.files.authority
    )
    assert "memberOf: CN=vpn" in done.stdout, done.stderr
