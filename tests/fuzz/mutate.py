"""Octets, changed the ways that break parsers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

_ODD = bytes((0, 1, 2, 0x7F, 0x80, 0xFF))

Change = Callable[[bytes, random.Random], bytes]


def flip(octets: bytes, dice: random.Random) -> bytes:
    """One to eight bits."""
    changed = bytearray(octets)
    for _ in range(dice.randint(1, 8) if changed else 0):
        bit = dice.randrange(len(changed) * 8)
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def truncate(octets: bytes, dice: random.Random) -> bytes:
    return octets[: dice.randint(0, len(octets))]


def extend(octets: bytes, dice: random.Random) -> bytes:
    return octets + dice.randbytes(dice.choice((1, 2, 16, 300)))


def replace(octets: bytes, dice: random.Random) -> bytes:
    """One octet by one that parsers trip over."""
    at = dice.randint(0, max(0, len(octets) - 1))
    return octets[:at] + bytes((dice.choice(_ODD),)) + octets[at + 1 :]


def remove(octets: bytes, dice: random.Random) -> bytes:
    at = dice.randint(0, len(octets))
    return octets[:at] + octets[at + dice.randint(1, 20) :]


def repeat(octets: bytes, dice: random.Random) -> bytes:
    """A piece, several times."""
    at = dice.randint(0, len(octets))
    piece = octets[at : at + dice.randint(1, 40)]
    return octets[:at] + piece * dice.choice((2, 3, 50)) + octets[at + len(piece) :]


CHANGES: tuple[Change, ...] = (flip, flip, truncate, extend, replace, replace, remove, repeat)


def splice(one: bytes, other: bytes, dice: random.Random) -> bytes:
    """The beginning of one and the end of another."""
    return one[: dice.randint(0, len(one))] + other[dice.randint(0, len(other)) :]


def mutated(
    seeds: Sequence[bytes], dice: random.Random, changes: Sequence[Change] = CHANGES
) -> Iterator[bytes]:
    """Each seed as it is, then changed ones without end."""
    return chain(seeds, _changed(seeds, dice, changes))


def _changed(seeds: Sequence[bytes], dice: random.Random, changes: Sequence[Change]) -> Iterator[bytes]:
    while True:
        octets = dice.choice(seeds)
        if dice.random() < 0.1:
            octets = splice(octets, dice.choice(seeds), dice)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            octets = dice.choice(changes)(octets, dice)
        yield octets
