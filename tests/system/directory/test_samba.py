"""Logins at a real Active Directory domain controller (Samba), which counts wrong passwords and demands signing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from authproxy.backends.directory.ntlm import nt_hash
from authproxy.backends.directory.settings import AuthType, DirectorySettings, Host, Transport
from authproxy.backends.tls import Trust
from authproxy.pipeline.ports import PrimaryUnavailable, RefusalKind, Refused, Verified
from authproxy.protocols.ldap.filter_text import parse_filter
from authproxy.secret import Secret
from tests.system.parts import samba as parts
from tests.system.parts.samba import BASE, USERS_DN, Samba, password_of

from .conftest import Client

# A domain takes half a minute to make.
pytestmark = [pytest.mark.system, pytest.mark.long]
Make = Callable[[DirectorySettings], Client]
NOT_IN_GROUP = Refused("not_in_group", RefusalKind.NOT_IN_GROUP)

PLAIN: dict[str, Any] = {
    "auth_type": AuthType.PLAIN,
    "service_name": parts.SERVICE_DN,
    "transport": Transport.LDAPS,
}
# The four-line section that existing files have: host, account, password, search_dn.
NTLM: dict[str, Any] = {
    "auth_type": AuthType.NTLM2,
    "service_name": parts.SERVICE,
    "transport": Transport.CLEAR,
}
WAYS = pytest.mark.parametrize("way", [PLAIN, NTLM], ids=["plain over ldaps", "ntlm2 sealed"])


def settings(server: Samba, **changes: Any) -> DirectorySettings:
    port = server.ldaps_port if changes.get("transport") is Transport.LDAPS else server.port
    fields: dict[str, Any] = {
        "name": "ad_client",
        "hosts": (Host(server.address, port),),
        "search_dn": BASE,
        "service_password": Secret.of(parts.SERVICE_PASSWORD),
        "trust": Trust(server.ca_file),
    }
    return DirectorySettings(**(fields | changes))


def verified(user: str) -> Verified:
    return Verified(user, f"CN={user},{USERS_DN}")


def counted(server: Samba, user: str) -> int:
    return int(server.attribute(user, "badPwdCount") or 0)


@WAYS
@pytest.mark.parametrize(
    "typed", ["alice", "ALICE", "alice@ad.test", "AD\\alice", "ad.test\\alice", f"CN=alice,{USERS_DN}"]
)
def test_forms_of_a_name(samba: Samba, client: Make, way: dict[str, Any], typed: str) -> None:
    assert client(settings(samba, **way)).verify(typed, password_of("alice")) == verified("alice")


@WAYS
@pytest.mark.parametrize("typed", ["OTHER\\alice", "alice@other.test", "nobody", "DC1$", "vpn", "*", "ali*"])
def test_nobody(samba: Samba, client: Make, way: dict[str, Any], typed: str) -> None:
    """Samba itself takes OTHER\\alice for its own alice."""
    assert client(settings(samba, **way)).verify(typed, password_of("alice")) == Refused("unknown_user")
    assert counted(samba, "alice") == 0


@WAYS
def test_a_user_without_a_principal_name(samba: Samba, client: Make, way: dict[str, Any]) -> None:
    made = client(settings(samba, **way))
    assert made.verify("noupn@ad.test", password_of("noupn")) == verified("noupn")


@WAYS
@pytest.mark.parametrize(
    ("user", "cause"),
    [
        ("disabled", "disabled"),
        ("locked", "locked"),
        ("expired", "expired"),
        ("mustchange", "must_change"),
        ("accexpired", "account_expired"),
    ],
)
def test_causes(samba: Samba, client: Make, way: dict[str, Any], user: str, cause: str) -> None:
    assert client(settings(samba, **way)).verify(user, password_of(user)) == Refused(cause)


@WAYS
def test_a_wrong_password_counts_once(samba: Samba, client: Make, way: dict[str, Any]) -> None:
    """R27, A5: whatever we do with it."""
    made = client(settings(samba, **way))
    before = counted(samba, "carol")
    assert made.verify("carol", "wrong") == Refused("bad_password")
    assert counted(samba, "carol") == before + 1
    assert made.verify("carol", password_of("carol")) == verified("carol")
    assert counted(samba, "carol") == 0


@WAYS
def test_an_empty_password(samba: Samba, client: Make, way: dict[str, Any]) -> None:
    assert client(settings(samba, **way)).verify("alice", "") == Refused("empty_password")


@WAYS
@pytest.mark.parametrize(
    ("group", "members"),
    [("vpn", {"alice", "bob"}), ("staff", {"alice", "bob", "carol"}), ("outer", {"alice", "carol"})],
)
def test_nested_groups(
    samba: Samba, client: Make, way: dict[str, Any], group: str, members: set[str]
) -> None:
    made = client(settings(samba, **way, security_group_dn=f"CN={group},{USERS_DN}"))
    for user in ("alice", "carol", "noupn"):
        assert made.verify(user, password_of(user)) == (verified(user) if user in members else NOT_IN_GROUP)


def test_the_primary_group(samba: Samba, client: Make) -> None:
    made = client(settings(samba, **PLAIN, security_group_dn=f"CN=Domain Users,{USERS_DN}"))
    assert made.verify("alice", password_of("alice")) == verified("alice")
    made = client(settings(samba, **PLAIN, security_group_dn=f"CN=Domain Admins,{USERS_DN}"))
    assert made.verify("alice", password_of("alice")) == NOT_IN_GROUP


def test_a_group_that_isnt_there(samba: Samba, client: Make) -> None:
    made = client(settings(samba, **PLAIN, security_group_dn=f"CN=nowhere,{USERS_DN}"))
    with pytest.raises(PrimaryUnavailable, match="no such group"):
        made.verify("alice", password_of("alice"))


def test_the_filter_that_known_files_use_for_nested_groups(samba: Samba, client: Make) -> None:
    text = f"(memberOf:1.2.840.113556.1.4.1941:=CN=outer,{USERS_DN})"
    made = client(settings(samba, **PLAIN, ldap_filter=parse_filter(text)))
    assert made.verify("alice", password_of("alice")) == verified("alice")
    assert made.verify("noupn", password_of("noupn")) == Refused("unknown_user")


@pytest.mark.parametrize(
    "account", ["svc", "AD\\svc", "ad.test\\svc", "svc@ad.test"], ids=["plain", "netbios", "dns", "upn"]
)
@pytest.mark.parametrize("domain", ["", "AD"])
def test_how_the_service_account_is_called(samba: Samba, client: Make, account: str, domain: str) -> None:
    made = client(settings(samba, **(NTLM | {"service_name": account}), ntlm_domain=domain))
    assert made.verify("alice", password_of("alice")) == verified("alice")


@pytest.mark.parametrize("user", ["alice", "svc"])
def test_a_stolen_hash_is_no_password(samba: Samba, client: Make, user: str) -> None:
    """Requirements 9.2: with pyspnego alone it would be."""
    stolen = nt_hash(Secret.of(password_of(user))).reveal().hex()
    made = client(settings(samba, **NTLM))
    assert made.verify(user, f"{stolen}:{stolen}") == Refused("bad_password")


def test_simple_binds_in_clear_where_signing_is_demanded(samba: Samba, client: Make) -> None:
    way = PLAIN | {"transport": Transport.CLEAR}
    with pytest.raises(PrimaryUnavailable, match="transport ldaps"):
        client(settings(samba, **way)).verify("alice", password_of("alice"))


def test_ntlm_inside_tls_where_signing_is_demanded(samba: Samba, client: Make) -> None:
    """This Samba can't bind NTLM to the channel, and says that it wants it sealed."""
    way = NTLM | {"transport": Transport.LDAPS}
    with pytest.raises(PrimaryUnavailable, match="transport clear with auth_type ntlm2"):
        client(settings(samba, **way)).verify("alice", password_of("alice"))


@pytest.fixture
def lenient(samba: Samba) -> Iterator[Samba]:
    """The same controller, which lets SASL over TLS pass."""
    samba.restart("allow_sasl_over_tls")
    yield samba
    samba.restart("yes")


@pytest.mark.parametrize("transport", [Transport.LDAPS, Transport.STARTTLS])
def test_ntlm_inside_tls(lenient: Samba, client: Make, transport: Transport) -> None:
    made = client(settings(lenient, **(NTLM | {"transport": transport})))
    assert made.verify("alice", password_of("alice")) == verified("alice")
    assert made.verify("bob", "wrong") == Refused("bad_password")
    assert made.verify("bob", password_of("bob")) == verified("bob")
    assert made.verify("expired", password_of("expired")) == Refused("expired")


def test_starttls(samba: Samba, client: Make) -> None:
    made = client(settings(samba, **(PLAIN | {"transport": Transport.STARTTLS})))
    assert made.verify("alice", password_of("alice")) == verified("alice")


@WAYS
def test_many_at_once(samba: Samba, client: Make, way: dict[str, Any]) -> None:
    made = client(settings(samba, **way))
    users = ["alice", "bob", "carol"] * 10
    answers = made.together([(user, password_of(user)) for user in users])
    assert answers == [verified(user) for user in users]


def test_the_name_in_the_certificate(samba: Samba, client: Make) -> None:
    host = Host(samba.address, samba.ldaps_port, tls_name=parts.DC_NAME)
    made = client(settings(samba, **PLAIN, hosts=(host,)))
    assert made.verify("alice", password_of("alice")) == verified("alice")
    wrong = Host(samba.address, samba.ldaps_port, tls_name="dc2.ad.test")
    with pytest.raises(PrimaryUnavailable, match="not for dc2"):
        client(settings(samba, **PLAIN, hosts=(wrong,))).verify("alice", password_of("alice"))


def test_unicode_passwords(samba: Samba, client: Make) -> None:
    """Octets that are no text can't be hashed; they are nobody's password."""
    assert client(settings(samba, **NTLM)).verify("alice", b"Passw\xf6rd") == Refused("password_not_utf8")
    assert client(settings(samba, **PLAIN)).verify("alice", b"Passw\xf6rd") == Refused("bad_password")
    assert client(settings(samba, **PLAIN)).verify("alice", password_of("alice")) == verified("alice")


# ---- several groups at once (attributes)


@WAYS
@pytest.mark.parametrize(
    ("user", "inside"),
    [
        ("alice", {"vpn", "staff", "outer", "Domain Users", "letters"}),
        ("carol", {"staff", "outer", "Domain Users"}),
        ("noupn", {"Domain Users"}),
    ],
)
def test_memberships(samba: Samba, client: Make, way: dict[str, Any], user: str, inside: set[str]) -> None:
    """Direct, nested, the primary group, and one that isn't security-enabled and so in no token."""
    names = {"vpn", "staff", "outer", "Domain Users", "Domain Admins", "letters"}
    groups = tuple(f"CN={name},{USERS_DN}" for name in names)
    made = client(settings(samba, **way, groups=groups))
    answer = made.verify(user, password_of(user), groups=groups)
    assert isinstance(answer, Verified)
    assert answer.groups == {f"CN={name},{USERS_DN}" for name in inside}
    assert answer.outside == {f"CN={name},{USERS_DN}" for name in names - inside}


def test_a_membership_of_a_group_that_isnt_there(samba: Samba, client: Make) -> None:
    made = client(settings(samba, **PLAIN))
    with pytest.raises(PrimaryUnavailable, match=r"attributes, group .*nowhere.*: no such group"):
        made.verify("alice", password_of("alice"), groups={f"CN=nowhere,{USERS_DN}"})
