"""The small part of BSON that old clients read: strings, documents, 32-bit numbers. Only for writing."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_STRING, _DOCUMENT, _INT32 = b"\x02", b"\x03", b"\x10"

Value = str | int | Mapping[str, "Value"]


def encode(document: Mapping[str, Value]) -> bytes:
    body = b"".join(_element(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(name: str, value: Value) -> bytes:
    key = name.encode().replace(b"\0", b"") + b"\0"
    match value:
        case str():
            octets = value.encode() + b"\0"
            return _STRING + key + struct.pack("<i", len(octets)) + octets
        case int():
            return _INT32 + key + struct.pack("<i", value)
        case _:
            return _DOCUMENT + key + encode(value)
