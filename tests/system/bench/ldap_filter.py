"""A search filter (RFC 4511 §4.5.1.7) for the scripted directory: what matches it, and how it reads."""

from __future__ import annotations

import unicodedata

from tests.system.bench import ber

AND, OR, NOT, EQUALITY, PRESENT, EXTENSIBLE = 0xA0, 0xA1, 0xA2, 0xA3, 0x87, 0xA9
BIT_AND = "1.2.840.113556.1.4.803"  # AD: userAccountControl:1.2.840.113556.1.4.803:=2


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def matches(attributes: dict[str, list[str]], tag: int, value: bytes) -> bool:
    """Raises ber.Malformed."""
    if tag in {AND, OR}:
        # Every element is read, so that a malformed one is seen.
        inner = [matches(attributes, *element) for element in ber.split(value)]
        return all(inner) if tag == AND else any(inner)
    if tag == NOT:
        (only,) = ber.split(value)
        return not matches(attributes, *only)
    if tag == EQUALITY:
        name, wanted = ber.split(value)
        text = ber.string(wanted).decode("utf-8", "surrogateescape")
        return _fold(text) in map(_fold, _values(attributes, ber.string(name).decode()))
    if tag == PRESENT:
        return bool(_values(attributes, value.decode()))
    if tag == EXTENSIBLE:
        return _extensible(attributes, value)
    raise ber.Malformed(f"filter 0x{tag:02x} is not for this directory")


def _extensible(attributes: dict[str, list[str]], value: bytes) -> bool:
    """The bit rule as such; every other one as equality of its attribute."""
    parts = dict(ber.split(value))
    values = _values(attributes, parts.get(0x82, b"").decode())
    wanted = parts[0x83].decode()
    if parts.get(0x81) == BIT_AND.encode():
        return any(int(value) & int(wanted) == int(wanted) for value in values)
    return _fold(wanted) in map(_fold, values)


def _values(attributes: dict[str, list[str]], name: str) -> list[str]:
    return next((values for key, values in attributes.items() if key.lower() == name.lower()), [])


def printed(tag: int, value: bytes) -> str:
    """The filter for a reader, as RFC 4515 writes it."""
    if tag in {AND, OR, NOT}:
        inner = "".join(printed(*element) for element in ber.split(value))
        return f"({'&|!'[tag - AND]}{inner})"
    if tag == PRESENT:
        return f"({value.decode()}=*)"
    if tag == EQUALITY:
        name, wanted = ber.split(value)
        return f"({ber.string(name).decode()}={_escaped(ber.string(wanted))})"
    if tag == EXTENSIBLE:
        parts = dict(ber.split(value))
        rule = f":{parts[0x81].decode()}" if 0x81 in parts else ""
        return f"({parts.get(0x82, b'').decode()}{rule}:={_escaped(parts[0x83])})"
    return f"(0x{tag:02x})"


def _escaped(value: bytes) -> str:
    return "".join(f"\\{octet:02x}" if octet in b"\\*()\0" or octet > 0x7E else chr(octet) for octet in value)
