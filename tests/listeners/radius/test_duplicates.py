"""R45 (RFC 5080 §2.2.2): the same request again gets the same octets; a forged one ends nobody's."""

from __future__ import annotations

from authproxy.listeners.radius.duplicates import Duplicates, Identity
from authproxy.listeners.radius.udp import Source

ONE = Identity(Source("10.0.0.1", 40000), "[::]:1812", 7)
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
        ONE._replace(source=Source("10.0.0.2", 40000)),
        ONE._replace(source=Source("10.0.0.1", 40001)),
        ONE._replace(receiver="other"),
        ONE._replace(identifier=8),
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


def test_abandoned_is_new_again() -> None:
    duplicates = Duplicates(keep=30)
    duplicates.abandon(duplicates.begin(ONE, FIRST, authentic=False))
    assert duplicates.find(ONE, FIRST, 0) is None
    assert len(duplicates) == 0


def test_answers_are_bounded() -> None:
    duplicates = Duplicates(keep=30)
    for number in range(66_000):
        identity = ONE._replace(source=Source("10.0.0.1", number))
        duplicates.answered(duplicates.begin(identity, FIRST, authentic=True), b"r", 0)
    assert len(duplicates) == 65_536
