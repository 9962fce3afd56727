"""Oracle B3: every secret is a random canary, and no trace of one may be seen anywhere outside its own file (S1).

A trace is the whole canary or any eight of its characters, as they are or written another way.
"""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

WINDOW = 8  # fewer characters than this are found in any log by chance
LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Leak:
    """`form`: how the secret was written there."""

    secret: str
    form: str
    where: str
    around: bytes

    def __str__(self) -> str:
        return f"{self.secret} ({self.form}) in {self.where}: {self.around!r}"


class Canaries:
    """The secrets of one world. Random ones: two worlds never share one."""

    def __init__(self) -> None:
        # By their first octets, so that one pass over what was written finds the few that can be in it.
        self._needles: dict[bytes, dict[bytes, tuple[str, str]]] = defaultdict(dict)
        self._known: set[bytes] = set()
        self._counter = itertools.count(1)

    def new(self, name: str, length: int = 24) -> str:
        """A secret of letters and digits, which has to stay one."""
        value = "".join(secrets.choice(LETTERS) for _ in range(length))
        return self.keep(name, value)

    def passcode(self, name: str) -> str:
        """Ten digits. Only the whole is looked for: eight digits are in any log by chance."""
        value = "".join(secrets.choice(string.digits) for _ in range(10))
        self._add(name, value.encode(), windows=[value.encode()])
        return value

    def keep(self, name: str, value: str | bytes) -> str:
        """Look for this one too. Returns it as text."""
        octets = value.encode() if isinstance(value, str) else value
        if len(octets) >= WINDOW and octets not in self._known:
            ends = range(len(octets) - WINDOW + 1)
            self._add(name, octets, windows=[octets[at : at + WINDOW] for at in ends])
        return octets.decode("utf-8", "replace")

    def _add(self, name: str, octets: bytes, windows: list[bytes]) -> None:
        self._known.add(octets)
        for window in windows:
            for form, written in _forms(window):
                assert len(written) >= WINDOW
                self._needles[written[:WINDOW]].setdefault(written, (name, form))

    def find(self, where: str, octets: bytes) -> list[Leak]:
        """The traces in these octets, one for each secret and form."""
        leaks: dict[tuple[str, str], Leak] = {}
        begins = {octets[at : at + WINDOW] for at in range(len(octets) - WINDOW + 1)}
        for begin in begins & self._needles.keys():
            for needle, (name, form) in self._needles[begin].items():
                if (at := octets.find(needle)) >= 0:
                    around = octets[max(0, at - 40) : at + len(needle) + 40]
                    leaks.setdefault((name, form), Leak(name, form, where, around))
        return list(leaks.values())


def _forms(window: bytes) -> Iterator[tuple[str, bytes]]:
    """The ways a program may write these octets."""
    for form, octets in (("", window), ("reversed ", window[::-1])):
        yield f"{form}raw", octets
        yield f"{form}hex", octets.hex().encode()
        yield f"{form}HEX", octets.hex().upper().encode()
        yield f"{form}hex with colons", octets.hex(":").encode()
        yield f"{form}hex with spaces", octets.hex(" ").encode()
        yield f"{form}UTF-16LE", b"".join(bytes((octet, 0)) for octet in octets)
        yield f"{form}every octet percent-encoded", "".join(f"%{octet:02X}" for octet in octets).encode()
        yield (
            f"{form}every octet percent-encoded in lower case",
            "".join(f"%{o:02x}" for o in octets).encode(),
        )
        yield f"{form}every octet escaped", "".join(f"\\x{octet:02x}" for octet in octets).encode()
        yield from ((f"{form}{name}", written) for name, written in _text_forms(octets) if written != octets)
        yield from ((f"{form}{name}", written) for name, written in _base64(octets))


def _text_forms(octets: bytes) -> Iterable[tuple[str, bytes]]:
    yield "URL-encoded", quote_from_bytes(octets, safe="").encode()
    yield "escaped by Python", repr(octets)[2:-1].encode()
    latin1, utf8 = octets.decode("latin-1"), octets.decode("utf-8", "replace")
    for text in (latin1, utf8):
        yield "escaped by JSON", json.dumps(text)[1:-1].encode()
        yield "escaped text", ascii(text)[1:-1].encode()
        yield "as UTF-8", text.encode()


def _base64(octets: bytes) -> Iterable[tuple[str, bytes]]:
    """What stays the same whatever stands before and behind: three alignments, both alphabets."""
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + octets + bytes(3))
        first = -(-shift * 8 // 6)
        sure = whole[first : (shift + len(octets)) * 8 // 6]
        yield f"base64, shifted by {shift}", sure
        yield f"base64 for URLs, shifted by {shift}", sure.translate(bytes.maketrans(b"+/", b"-_"))
