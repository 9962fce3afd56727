"""Logins at a real OpenLDAP with 10,000 people in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authproxy.backends.directory.settings import DirectorySettings, Host, Transport
from authproxy.backends.tls import Trust
from authproxy.pipeline.ports import PrimaryUnavailable, RefusalKind, Refused, Verified
from authproxy.protocols.ldap.filter_text import parse_filter
from authproxy.secret import Secret
from tests.system.parts import slapd as parts
from tests.system.parts.slapd import GROUPS, PEOPLE, SUFFIX, Slapd, password_of

from .conftest import Client

pytestmark = pytest.mark.system
Make = Callable[[DirectorySettings], Client]
NOT_IN_GROUP = Refused("not_in_group", RefusalKind.NOT_IN_GROUP)


def settings(server: Slapd, transport: Transport = Transport.LDAPS, **changes: Any) -> DirectorySettings:
    port = server.ldaps_port if transport is Transport.LDAPS else server.port
    fields: dict[str, Any] = {
        "name": "ad_client",
        "hosts": (Host("127.0.0.1", port),),
        "search_dn": PEOPLE,
        "service_name": parts.SERVICE,
        "service_password": Secret.of(parts.SERVICE_PASSWORD),
        "transport": transport,
        "trust": Trust(server.ca_file),
        "username_attribute": "uid",
        "at_attribute": "mail",
    }
    return DirectorySettings(**(fields | changes))


def verified(user: str) -> Verified:
    return Verified(user, f"uid={user},{PEOPLE}")


@pytest.mark.parametrize("transport", list(Transport))
def test_right_and_wrong(slapd: Slapd, client: Make, transport: Transport) -> None:
    made = client(settings(slapd, transport))
    assert made.verify("alice", password_of("alice")) == verified("alice")
    assert made.verify("alice", password_of("bob")) == Refused("bad_password")
    assert made.verify("nobody", password_of("alice")) == Refused("unknown_user")
    assert made.verify("u09999", parts.MANY_PASSWORD) == verified("u09999")


@pytest.mark.parametrize(
    ("typed", "user"),
    [
        ("ALICE", "alice"),
        ("alice@example.test", "alice"),
        ("EXAMPLE\\alice", "alice"),
        (f"uid=alice,{PEOPLE}", "alice"),
        ("Ünïcode", "ünïcode"),
        ("u\u0308ni\u0308code", "ünïcode"),  # decomposed, as some keyboards write it
    ],
)
def test_names(slapd: Slapd, client: Make, typed: str, user: str) -> None:
    made = client(settings(slapd))
    answer = made.verify(typed, password_of(user))
    assert isinstance(answer, Verified)
    assert answer.username == user


@pytest.mark.parametrize(
    ("user", "answer"),
    [
        ("locked", Refused("locked")),
        ("expired", Refused("expired")),
        ("mustchange", Refused("must_change")),
        ("grace", verified("grace")),
    ],
)
def test_password_policy(slapd: Slapd, client: Make, user: str, answer: Verified | Refused) -> None:
    assert client(settings(slapd)).verify(user, password_of(user)) == answer


def test_whoever_cannot_be_told_apart_is_nobody(slapd: Slapd, client: Make) -> None:
    made = client(settings(slapd))
    assert made.verify("twins@example.test", password_of("twin1")) == Refused("ambiguous_user")
    assert made.verify("twin1", password_of("twin1")) == verified("twin1")
    assert made.verify("many1", password_of("many1")) == Refused("username_attribute")


@pytest.mark.parametrize(
    "typed", ["*", "a*", "alice)(uid=*", ")(|(uid=*", "\\2a", "\\", "(", "cn=a,b@x", "alice\\00"]
)
def test_hostile_names(slapd: Slapd, client: Make, typed: str) -> None:
    """L26: slapd's own log shows one literal filter."""
    before = len(slapd.log)
    assert isinstance(client(settings(slapd)).verify(typed, password_of("alice")), Refused)
    filters = re.findall(r'SRCH base="ou=people.*filter="(.*)"', slapd.log[before:])
    assert all(found.count("(uid=") <= 1 and found.count("(mail=") <= 1 for found in filters)
    assert not re.search(r"BIND dn=\"uid=", slapd.log[before:])


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("vpn", {"alice", "bob"}),
        ("staff", {"alice", "bob", "carol"}),
        ("outer", {"alice", "bob", "carol"}),
        ("Comma\\, Inc", {"alice"}),
        ("comma\\2c inc", {"alice"}),
        ("loop", {"bob"}),
        ("posix", {"carol"}),
    ],
)
def test_groups(slapd: Slapd, client: Make, group: str, members: set[str]) -> None:
    made = client(settings(slapd, security_group_dn=f"cn={group},{GROUPS}"))
    for user in ("alice", "bob", "carol"):
        expected = verified(user) if user in members else NOT_IN_GROUP
        assert made.verify(user, password_of(user)) == expected
        assert made.verify(user, "wrong") == Refused("bad_password")


def test_a_group_that_isnt_there(slapd: Slapd, client: Make) -> None:
    with pytest.raises(PrimaryUnavailable, match="no such group"):
        client(settings(slapd, security_group_dn=f"cn=nowhere,{GROUPS}")).verify(
            "alice", password_of("alice")
        )


def test_an_own_filter(slapd: Slapd, client: Make) -> None:
    made = client(settings(slapd, ldap_filter=parse_filter("(!(uid=bob))")))
    assert made.verify("alice", password_of("alice")) == verified("alice")
    assert made.verify("bob", password_of("bob")) == Refused("unknown_user")


def test_a_base_that_isnt_there(slapd: Slapd, client: Make) -> None:
    with pytest.raises(PrimaryUnavailable, match="search_dn"):
        client(settings(slapd, search_dn=f"ou=nowhere,{SUFFIX}")).verify("alice", password_of("alice"))


def test_a_wrong_service_password(slapd: Slapd, client: Make) -> None:
    made = client(settings(slapd, service_password=Secret(b"wrong")))
    with pytest.raises(PrimaryUnavailable, match="service account"):
        made.verify("alice", password_of("alice"))


def test_many_at_once(slapd: Slapd, client: Make) -> None:
    made = client(settings(slapd))
    before = slapd.log.count(" ACCEPT from ")
    logins = [(f"u{number:05}", parts.MANY_PASSWORD if number % 3 else "wrong") for number in range(300)]
    answers = made.together(logins)
    for (user, password), answer in zip(logins, answers, strict=True):
        assert answer == (Refused("bad_password") if password == "wrong" else verified(user))
    assert slapd.log.count(" ACCEPT from ") - before <= 20


def test_an_outage_and_its_end(client: Make, tmp_path: Path) -> None:
    with Slapd(tmp_path) as server:
        made = client(settings(server, timeout=5))
        assert made.verify("alice", password_of("alice")) == verified("alice")
        server.stop()
        with pytest.raises(PrimaryUnavailable):
            made.verify("alice", password_of("alice"))
        server.start()
        # A login with nowhere to go waits for a probe, at most one a second.
        answers = [made.verify("alice", password_of("alice")) for _ in range(3) if _settled(made)]
        assert answers == [verified("alice")] * 3


def _settled(made: Client) -> bool:
    """Wait until a probe has found the host again."""
    import time

    until = time.monotonic() + 10
    while not made.directory.health().ready:
        assert time.monotonic() < until
        time.sleep(0.05)
    return True


def test_a_server_that_hangs(client: Make, tmp_path: Path) -> None:
    """It accepts connections and says nothing; the login ends in time, and the other host is asked."""
    with Slapd(tmp_path / "one") as one, Slapd(tmp_path / "two") as two:
        hosts = (Host("127.0.0.1", one.port), Host("127.0.0.1", two.port))
        made = client(settings(one, Transport.CLEAR, hosts=hosts, timeout=2))
        assert made.verify("alice", password_of("alice")) == verified("alice")
        assert one.process is not None
        one.process.pause()
        try:
            assert made.verify("alice", password_of("alice")) == verified("alice")
            assert 'BIND dn="uid=alice' in two.log
        finally:
            one.process.resume()


def test_tls_demanded(client: Make, tmp_path: Path) -> None:
    with Slapd(tmp_path, extra="security simple_bind=128") as server:
        with pytest.raises(PrimaryUnavailable, match="set transport to ldaps or starttls"):
            client(settings(server, Transport.CLEAR)).verify("alice", password_of("alice"))
        assert client(settings(server, Transport.STARTTLS)).verify("alice", password_of("alice")) == verified(
            "alice"
        )


@pytest.mark.parametrize("code", ["busy", "unavailable", "unwilling", "referral"])
def test_result_codes_of_a_real_server(slapd: Slapd, client: Make, code: str) -> None:
    """As the service account, because these entries are no people."""
    name = f"cn={code},ou=results,{SUFFIX}"
    with pytest.raises(PrimaryUnavailable):
        client(settings(slapd, service_name=name)).verify("alice", password_of("alice"))


# ---- several groups at once (attributes)


@pytest.mark.parametrize(
    ("user", "inside"),
    [
        ("alice", {"vpn", "staff", "outer", "Comma\\, Inc"}),
        ("bob", {"vpn", "staff", "outer", "loop", "loop2"}),
        ("carol", {"staff", "outer", "posix"}),
        ("u00001", set()),
    ],
)
def test_memberships(slapd: Slapd, client: Make, user: str, inside: set[str]) -> None:
    """Direct, nested, in a circle, and as Unix groups have it, however the DN is written."""
    names = {"vpn", "staff", "outer", "Comma\\, Inc", "loop", "loop2", "posix"}
    wanted = {name: f"CN={name}, {GROUPS}" for name in names}
    password = parts.MANY_PASSWORD if user.startswith("u0") else password_of(user)
    made = client(settings(slapd, groups=tuple(wanted.values())))
    answer = made.verify(user, password, groups=wanted.values())
    assert isinstance(answer, Verified)
    assert answer.groups == {wanted[name] for name in inside}
    assert answer.outside == {wanted[name] for name in names - inside}


def test_memberships_cost_a_search_a_level(slapd: Slapd, client: Make) -> None:
    """However many groups are asked about, once it is known that they are there."""
    groups = [f"cn={name},{GROUPS}" for name in ("vpn", "staff", "outer", "loop", "loop2", "posix")]
    made = client(settings(slapd, groups=tuple(groups)))
    primary = made.grouping(groups)
    made.verify("carol", password_of("carol"), primary=primary)
    before = slapd.log.count(" SRCH base=")
    made.verify("carol", password_of("carol"), primary=primary)
    # The user; the groups above; those above these; none above them.
    assert slapd.log.count(" SRCH base=") - before == 4


def test_a_membership_of_a_group_that_isnt_there(slapd: Slapd, client: Make) -> None:
    made = client(settings(slapd))
    with pytest.raises(PrimaryUnavailable, match=r"attributes, group .*nowhere.*: no such group"):
        made.verify("alice", password_of("alice"), groups=[f"cn=nowhere,{GROUPS}"])


def test_a_wrong_password_asks_for_no_group(slapd: Slapd, client: Make) -> None:
    """R48: nor for one that isn't there."""
    made = client(settings(slapd))
    assert made.verify("alice", "wrong", groups=[f"cn=nowhere,{GROUPS}"]) == Refused("bad_password")
