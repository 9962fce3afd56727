"""Passwords and names, octet by octet: what the directory is asked, how often, and for whom."""

from __future__ import annotations

import unicodedata

import pytest

from tests.system.bench import wire
from tests.system.bench.journal import CloudRequest, PrimaryBind
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, USER_NAME, USER_PASSWORD, codes
from tests.system.everyday import LAX, Everyday

pytestmark = pytest.mark.system

# R24. Each has to reach the directory as these octets and no others.
PASSWORDS = {
    "Latin-1": "pässwörd-é".encode("latin-1"),
    "UTF-8, composed": unicodedata.normalize("NFC", "pässwörd-é").encode(),
    "UTF-8, decomposed": unicodedata.normalize("NFD", "pässwörd-é").encode(),
    "0xFF only": b"\xff" * 12,
    "spaces around": b"  right words  ",
    "a tab": b"right\twords",
    "capitals": b"RiGhT wOrDs",
    "percent and quotes": b"100%s %(x)s '\"\\ ${HOME} `id`",
    "a comma": b"right,words",
    "two commas": b"right,,words",
    "ends in a comma": b"right words,",
    "no-break space": "right\u00a0words".encode(),
    "soft hyphen": "right\u00adwords".encode(),
    "roman nine": "right \u2168 words".encode(),
    "16 octets": b"0123456789abcdef",
    "128 octets": bytes(range(0x30, 0x7A)) + bytes(range(0x30, 0x66)),
    "like an NT hash": b"aad3b435b51404eeaad3b435b51404ee:31d6cfe0d16ae931b73c59d7e0c089c0",
}


def test_passwords_are_octets(everyday: Everyday) -> None:
    """R24: whatever the octets, exactly they are bound with, once."""
    nas = everyday.nas()
    users = {name: everyday.user(octets) for name, octets in PASSWORDS.items()}
    requests = [nas.login(user.user, PASSWORDS[name]) for name, user in users.items()]
    replies = dict(zip(users, codes(nas.exchange_all(requests)), strict=True))
    for name, user in users.items():
        assert [bind.password for bind in everyday.binds(user.user)] == [PASSWORDS[name]], name
    assert replies == dict.fromkeys(users, ACCESS_ACCEPT)


def test_passwords_that_differ_a_little_are_wrong(everyday: Everyday) -> None:
    """R24: nothing is stripped, folded or normalised on the way."""
    nas = everyday.nas()
    variants = {
        "UTF-8, composed": PASSWORDS["UTF-8, decomposed"],
        "Latin-1": b"psswrd-",
        "0xFF only": b"\xff" * 11,
        "spaces around": b"right words",
        "capitals": b"right words",
        "no-break space": b"right words",
        "soft hyphen": b"rightwords",
        "roman nine": b"right IX words",
    }
    requests = [nas.login(everyday.user(PASSWORDS[name]).user, typed) for name, typed in variants.items()]
    assert codes(nas.exchange_all(requests)) == [ACCESS_REJECT] * len(variants)


def test_nul_in_a_password_is_refused(everyday: Everyday) -> None:
    """R24: trailing NULs are padding, others are no password; the directory isn't asked."""
    user = everyday.user(b"right\0words")
    assert codes([everyday.nas().ask(user.user, b"right\0words")]) == [ACCESS_REJECT]
    assert everyday.binds(user.user) == []


def test_password_codec(everyday: Everyday) -> None:
    """`pw_codec`: what the NAS writes in Latin-1 is bound with in UTF-8."""
    user = everyday.user("pässwörd-é")
    nas = everyday.nas(everyday.latin)
    assert codes([nas.ask(user.user, "pässwörd-é".encode("latin-1"))]) == [ACCESS_ACCEPT]
    assert [bind.password for bind in everyday.binds(user.user)] == ["pässwörd-é".encode()]


EMPTY = [b"", b"\0" * 16, b",push", b",123456", b",", b",,", b",,push", b",phone2", b",,,"]


@pytest.mark.parametrize("source", ["127.0.0.1", LAX])
def test_empty_passwords(everyday: Everyday, source: str) -> None:
    """R25: rejected at once, before anybody is asked; with and without Message-Authenticator, in any section."""
    before = len(everyday.journal)
    signed = source != LAX
    secret = everyday.secret if signed else everyday.secrets[LAX]
    for section in (everyday.vpn, everyday.safe if signed else everyday.vpn):
        nas = everyday.nas(section, source=source, secret=secret)
        user = everyday.user(preauth="allow")
        requests = [nas.login(user.user, typed, message_authenticator=signed) for typed in EMPTY]
        assert codes(nas.exchange_all(requests)) == [ACCESS_REJECT] * len(EMPTY)
        events = everyday.wait_audit(len(EMPTY) - 1, username=user.user, decision="reject")
        assert {event["reason"] for event in events} <= {"empty_password", "malformed", "primary_rejected"}
        assert {bind.password for bind in everyday.binds(user.user)} <= {b","}
    assert everyday.journal.all(PrimaryBind, lambda bind: bind.password == b"", since=before) == []
    assert everyday.journal.all(CloudRequest, lambda r: r.endpoint == "preauth", since=before) == []


@pytest.mark.parametrize("length", [0, 1, 15, 17, 31, 129, 144, 240])
def test_password_attributes_of_another_length(everyday: Everyday, length: int) -> None:
    """R26: 16 to 128 octets, a multiple of 16. Dropped: no NAS sends it."""
    user = everyday.user()
    nas = everyday.nas()
    request = wire.access_request(user.user, None, nas.secret, (USER_PASSWORD, b"x" * length))
    assert nas.silent(request, 0.2)
    assert everyday.binds(user.user) == []


def test_two_passwords_or_names_are_none(everyday: Everyday) -> None:
    """R26: exactly one instance."""
    user, other = everyday.user(), everyday.user()
    nas = everyday.nas()
    authenticator = bytes(range(16))
    hidden = wire.hide_password(user.password.encode(), nas.secret, authenticator)
    twice = nas.login(user.user, user.password, (USER_PASSWORD, hidden), authenticator=authenticator)
    assert nas.silent(twice, 0.3)
    named = nas.exchange(nas.login(user.user, user.password, (USER_NAME, other.user.encode())), 3)
    assert codes([named])[0] in {None, ACCESS_REJECT}
    assert everyday.binds(user.user) == []


# R27: what is typed, what is bound with, what the cloud is asked for.
APPENDED = [
    ("{p}", "{p}", "push"),
    ("{p},push", "{p}", "push"),
    ("{p},phone", "{p}", "phone"),
    ("{p},123456", "{p}", "passcode"),
    ("{p},1234567890", "{p}", "passcode"),
    ("{p},cccccccccccccccccccccccccccccccccccccccccccc", "{p}", "passcode"),
    ("{p},word,push", "{p},word", "push"),
]
NOT_APPENDED = [
    "{p},word",
    "{p},",
    "{p},12345",
    "{p},12345678901",
    "{p},push0",
    "{p},push 2",
    "{p}, push",
    "{p};push",
]


def test_append_mode_reads_once(everyday: Everyday) -> None:
    """R27: from the right, one delimiter, one reading; one bind whatever comes of it."""
    nas = everyday.nas()
    password = everyday.canaries.new("a password of many")
    users = {typed: everyday.user(bound.format(p=password)) for typed, bound, _ in APPENDED}
    requests = [nas.login(user.user, typed.format(p=password)) for typed, user in users.items()]
    nas.exchange_all(requests)
    for typed, bound, factor in APPENDED:
        user = users[typed].user
        assert [bind.password for bind in everyday.binds(user)] == [bound.format(p=password).encode()], typed
        assert [call["factor"] for call in everyday.asked(user)] == [factor], typed


def test_a_tail_that_is_no_factor_is_password(everyday: Everyday) -> None:
    """R27: used whole when it is right, and when it is wrong there is no second bind to guess."""
    nas = everyday.nas()
    password = everyday.canaries.new("a password of many")
    whole = {typed: everyday.user(typed.format(p=password)) for typed in NOT_APPENDED}
    other = {typed: everyday.user(password) for typed in NOT_APPENDED}
    asked = [
        (user.user, typed.format(p=password)) for users in (whole, other) for typed, user in users.items()
    ]
    replies = codes(nas.exchange_all([nas.login(*pair) for pair in asked]))
    assert replies == [ACCESS_ACCEPT] * len(whole) + [ACCESS_REJECT] * len(other)
    for user, typed in asked:
        assert [bind.password for bind in everyday.binds(user)] == [typed.encode()]


def test_append_mode_can_be_off(everyday: Everyday) -> None:
    """`allow_concat: false`: everything is password."""
    user = everyday.user(b"right,push")
    assert codes([everyday.nas(everyday.whole).ask(user.user, b"right,push")]) == [ACCESS_ACCEPT]


def test_one_name_for_everybody(everyday: Everyday) -> None:
    """R33: however it is typed, the cloud and the audit know the one that the directory confirms."""
    password = everyday.canaries.new("the password of Müller")
    everyday.add_user("Müller", password)
    nas = everyday.nas()
    composed = ["Müller", "MÜLLER", "müller", "Müller@corp.test", "CORP\\MÜLLER", "  müller "]
    names = [*composed, unicodedata.normalize("NFD", "Müller")]
    replies = nas.exchange_all([nas.login(name, password) for name in names])
    assert codes(replies) == [ACCESS_ACCEPT] * len(names)
    assert len(everyday.wait_audit(1, user="müller", reason="both_factors")) >= 1
    strangers = [
        r.user for r in everyday.journal.all(CloudRequest) if "ller" in r.user.lower() and r.user != "müller"
    ]
    assert strangers == []


@pytest.mark.parametrize(
    "name",
    [b"alice\xff", b"al\0ice", "alice\u200b".encode(), "\u202ealice".encode(), b"alice\x1b[2J", b"\n", b" "],
)
def test_names_that_two_systems_read_differently(everyday: Everyday, name: bytes) -> None:
    """R33, S2: refused before anybody is asked, and escaped in the log."""
    before = len(everyday.journal)
    nas = everyday.nas()
    assert codes([nas.ask(name, b"whatever it is")]) == [ACCESS_REJECT]
    assert everyday.journal.all(PrimaryBind, since=before) == []
    for line in everyday.log().splitlines():
        assert line.isprintable(), line
