"""Reads entries from LDIF (RFC 2849): content records only. A value is text, Base64 or continued, never a file."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import field

from authproxy.values import light_dataclass

_MOST_ENTRIES = 100_000


class MalformedLdif(ValueError):
    """The file is wrong; the text begins with the line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")


@light_dataclass(frozen=True, slots=True)
class LdifEntry:
    """`attributes`: names as first written, values in the file's order."""

    dn: str
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...] = field(repr=False)


def read_ldif(text: str) -> list[LdifEntry]:
    """The entries in this text. Raises MalformedLdif."""
    entries: list[LdifEntry] = []
    record: list[tuple[int, str]] = []
    for number, line in [*_unfolded(text), (0, "")]:
        if line:
            record.append((number, line))
        elif record:
            entry = _entry(record)
            record = []
            if entry is not None:
                entries.append(entry)
        if len(entries) > _MOST_ENTRIES:
            raise MalformedLdif(number, f"more than {_MOST_ENTRIES} entries")
    return entries


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations joined and comments left out; an empty line ends a record."""
    held: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(" "):
            if held is None:
                raise MalformedLdif(number, "continues nothing")
            held = held[0], held[1] + line[1:]
            continue
        if held is not None and not held[1].startswith("#"):
            yield held
        held = (number, line)
    if held is not None and not held[1].startswith("#"):
        yield held


def _entry(record: list[tuple[int, str]]) -> LdifEntry | None:
    lines = [(number, *_parse(number, line)) for number, line in record]
    if lines[0][1].lower() == "version":
        if lines[0][2] != b"1":
            raise MalformedLdif(lines[0][0], "only version 1 is known")
        lines = lines[1:]
        if not lines:
            return None
    number, name, value = lines[0]
    if name.lower() != "dn":
        raise MalformedLdif(number, f"an entry begins with dn, not with {name}")
    attributes: dict[str, tuple[str, list[bytes]]] = {}
    for at, attribute, octets in lines[1:]:
        if attribute.lower() in {"changetype", "control", "dn"}:
            raise MalformedLdif(at, f"{attribute}: only entries can be read, no changes")
        attributes.setdefault(attribute.lower(), (attribute, []))[1].append(octets)
    return LdifEntry(
        _text(number, value), tuple((named, tuple(values)) for named, values in attributes.values())
    )


def _parse(number: int, line: str) -> tuple[str, bytes]:
    name, colon, rest = line.partition(":")
    if not colon or not name or name != name.strip():
        raise MalformedLdif(number, "neither `name: value` nor a comment")
    if rest.startswith("<"):
        raise MalformedLdif(number, "values from files or addresses are not read")
    if rest.startswith(":"):
        try:
            return name, base64.b64decode(rest[1:].strip(), validate=True)
        except ValueError:  # binascii.Error is one; so is what it says of characters outside ASCII
            raise MalformedLdif(number, f"{name}: not Base64") from None
    return name, rest.lstrip(" ").encode()


def _text(number: int, octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MalformedLdif(number, "dn: not UTF-8") from None
