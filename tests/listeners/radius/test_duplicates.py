"""R45 (RFC 5080 §2.2.2): the same request again gets the same octets; a forged one ends nobody's."""

from __future__ import annotations

from authproxy.listeners.radius.duplicates import Duplicates, Identity, mark
from authproxy.listeners.radius.udp import Source

from .world import login

NAS = Source("10.0.0.1", 40000)
ONE: Identity = (NAS, "[::]:1812", 7)
FIRST, SECOND = b"a" * 16, b"b" * 16


def test_silence_then_the_same_octets_until_forgotten() -> None:
    duplicates = Duplicates(keep=30)
    assert duplicates.find(ONE, FIRST, 0) is None
    exchange = duplicates.begin(ONE, FIRST, authentic=False)
    assert duplicates.find(ONE, FIRST, 500) is exchange
    duplicates.answered(exchange, b"reply", 500)
    known = duplicates.find(ONE, FIRST, 529.9)
    assert known is exchange
    assert known.reply == b"reply"
    assert duplicates.find(ONE, FIRST, 530) is None
    assert len(duplicates) == 0


def test_every_part_of_the_identity_counts() -> None:
    duplicates = Duplicates(keep=30)
    duplicates.begin(ONE, FIRST, authentic=True)
    for other in (
        (Source("10.0.0.2", 40000), "[::]:1812", 7),
        (Source("10.0.0.1", 40001), "[::]:1812", 7),
        (NAS, "other", 7),
        (NAS, "[::]:1812", 8),
    ):
        assert duplicates.find(other, FIRST, 0) is None
    assert duplicates.find(ONE, SECOND, 0) is None


def test_an_authentic_request_ends_the_older_one() -> None:
    duplicates = Duplicates(keep=30)
    older = duplicates.begin(ONE, FIRST, authentic=True)
    newer = duplicates.begin(ONE, SECOND, authentic=True)
    assert older.superseded
    duplicates.answered(older, b"late", 1)
    assert duplicates.find(ONE, FIRST, 1) is None
    assert not duplicates._answered, "and its late answer is not kept"
    assert duplicates.find(ONE, SECOND, 1) is newer


def test_a_forged_source_ends_nothing() -> None:
    """Without a Message-Authenticator anyone can write this source and identifier."""
    duplicates = Duplicates(keep=30)
    older = duplicates.begin(ONE, FIRST, authentic=True)
    duplicates.begin(ONE, SECOND, authentic=False)
    assert not older.superseded
    duplicates.answered(older, b"reply", 1)
    known = duplicates.find(ONE, FIRST, 2)
    assert known is not None
    assert known.reply == b"reply"


def test_a_forged_one_does_not_hide_the_older_one_from_its_successor() -> None:
    """R49: the NAS has taken its identifier over all the same."""
    duplicates = Duplicates(keep=30)
    older = duplicates.begin(ONE, FIRST, authentic=True)
    duplicates.begin(ONE, SECOND, authentic=False)
    duplicates.begin(ONE, b"c" * 16, authentic=True)
    assert older.superseded


def test_a_mark_is_of_the_authenticator_and_the_login() -> None:
    """What else is in a repetition may change: times, counters, and the signature over them."""
    chap = (3, bytes(17))
    first = login(None, chap, (44, b"session"), authenticator=bytes(16))
    assert mark(first) == mark(login(None, chap, (55, bytes(4)), authenticator=bytes(16), signed=False))
    assert mark(first) == mark(login(None, chap, (44, b"other"), authenticator=bytes(16)))
    for other in (
        login(None, chap, authenticator=b"a" * 16),
        login(None, (3, b"x" * 17), authenticator=bytes(16)),
        login(None, chap, (24, b"state"), authenticator=bytes(16)),
        login(None, chap, user=b"alic", authenticator=bytes(16)),
        login(None, chap, (26, b"\0\0\x01\x37\x19\x03x"), authenticator=bytes(16)),
    ):
        assert mark(first) != mark(other)


def test_abandoned_is_new_again() -> None:
    duplicates = Duplicates(keep=30)
    duplicates.abandon(duplicates.begin(ONE, FIRST, authentic=False))
    assert duplicates.find(ONE, FIRST, 0) is None
    assert len(duplicates) == 0


def test_answers_are_bounded() -> None:
    duplicates = Duplicates(keep=30)
    for number in range(66_000):
        identity = (Source("10.0.0.1", number), "[::]:1812", 7)
        duplicates.answered(duplicates.begin(identity, FIRST, authentic=True), b"r", 0)
    assert len(duplicates) == 65_536
