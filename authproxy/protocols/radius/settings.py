"""Attributes as people write them (`Class = admins`, `Tunnel-Type:1 = VLAN`), as octets of an Accept.

Each is looked up, typed and measured when the configuration is read: what can't be sent is told then, with its line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from authproxy.protocols.radius.dictionary import Definition
from authproxy.protocols.radius.packet import (
    ARAP_PASSWORD,
    CHAP_PASSWORD,
    EAP_MESSAGE,
    MAX_VALUE,
    MESSAGE_AUTHENTICATOR,
    PROXY_STATE,
    REPLY_MESSAGE,
    STATE,
    USER_PASSWORD,
    VENDOR_SPECIFIC,
    Attribute,
)
from authproxy.protocols.radius.vendor import VENDOR_ID, Key, sub_attributes
from authproxy.values import light_dataclass

_SETTING = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)(?::(\d{1,2}))?\s*(\+?=)\s*(.*)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_MOST_TAG = 0x1F  # RFC 2868 §3.1
# RFC 2865 §5.44, RFC 2869 §5.19 and RFC 3579 §3.3: not in an Accept, or made for each reply anew.
_NOT_IN_AN_ACCEPT = frozenset(
    {USER_PASSWORD, CHAP_PASSWORD, ARAP_PASSWORD, STATE, PROXY_STATE, EAP_MESSAGE, MESSAGE_AUTHENTICATOR}
    | {4, 5, 30, 31, 32, 60, 61, 76, 101, *range(40, 60)}
)


class MalformedSetting(ValueError):
    """Not an attribute that can be sent; the administrator has to act. The text says why."""


@light_dataclass(frozen=True, slots=True)
class Setting:
    """`adds`: written with +=, so it is added to others of its name instead of replacing them."""

    name: str
    value: str
    tag: int | None = None
    adds: bool = False


@light_dataclass(frozen=True, slots=True)
class Granted:
    """A setting, encoded."""

    key: Key
    attribute: Attribute
    adds: bool = False


def split_settings(text: str) -> list[str]:
    """The parts of `A = 1, B = "2, 3"`, split at commas outside quotes."""
    parts, quoted, escaped, begin = [], False, False, 0
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            parts.append(text[begin:at].strip())
            begin = at + 1
    return [*parts, text[begin:].strip()]


def read_setting(text: str) -> Setting:
    """The setting in this text. Raises MalformedSetting."""
    found = _SETTING.fullmatch(text.strip())
    if found is None:
        raise MalformedSetting("NAME = VALUE is expected here, such as Class = admins")
    name, tag, operator, value = found.groups()
    if value.startswith('"'):
        inside = _QUOTED.fullmatch(value)
        if inside is None:
            raise MalformedSetting(f"{name}: the quotes don't end where the value does")
        value = re.sub(r'\\(["\\])', r"\1", inside[1])
    if not value:
        raise MalformedSetting(f"{name} has no value")
    if tag is not None and not 1 <= int(tag) <= _MOST_TAG:
        raise MalformedSetting(f"{name}: a tag is 1 to {_MOST_TAG}")
    return Setting(name, value, None if tag is None else int(tag), operator == "+=")


def encode_setting(setting: Setting, definition: Definition, values: Mapping[str, int]) -> Granted:
    """The setting in octets. `values`: the attribute's named values, in small letters. Raises MalformedSetting."""
    name = definition.name
    if definition.encrypt:
        raise MalformedSetting(f"{name} is hidden anew for each reply and can't be written here")
    if definition.vendor is None and definition.number in _NOT_IN_AN_ACCEPT:
        raise MalformedSetting(f"{name} has no place in an Access-Accept")
    if setting.tag is not None and not definition.has_tag:
        raise MalformedSetting(f"{name} has no tag")
    octets = _encoded(setting, definition, values)
    if definition.vendor is None:
        most, attribute = MAX_VALUE, Attribute(definition.number, octets)
    else:
        most = MAX_VALUE - VENDOR_ID - 2
        head = definition.vendor.to_bytes(VENDOR_ID, "big") + bytes(
            (definition.number, len(octets) + 2 & 0xFF)
        )
        attribute = Attribute(VENDOR_SPECIFIC, head + octets)
    if len(octets) > most:
        raise MalformedSetting(f"{name} has {len(octets)} octets, and an attribute holds {most}")
    return Granted(definition.key, attribute, setting.adds)


def granted_over(attributes: Sequence[Attribute], granted: Sequence[Granted]) -> list[Attribute]:
    """An Accept's attributes with those that are granted, which replace others of the same name or are
    added to them.
    """
    if not granted:
        return list(attributes)
    replaced = frozenset(each.key for each in granted if not each.adds)
    kept = [left for attribute in attributes if (left := _without(attribute, replaced)) is not None]
    return [*kept, *(each.attribute for each in granted)]


def silent(granted: Iterable[Granted]) -> list[Granted]:
    """RFC 3579 §2.6.5: without Reply-Message, which isn't sent with EAP."""
    return [each for each in granted if each.key != (None, REPLY_MESSAGE)]


def _without(attribute: Attribute, replaced: frozenset[Key]) -> Attribute | None:
    if (None, attribute.type) in replaced:
        return None
    if attribute.type != VENDOR_SPECIFIC:
        return attribute
    vendor = int.from_bytes(attribute.value[:VENDOR_ID], "big")
    inside = sub_attributes(attribute.value)
    if not any((vendor, type) in replaced for type, _ in inside):
        return attribute  # octet for octet, in whatever format (R5)
    left = b"".join(
        bytes((type, len(value) + 2)) + value for type, value in inside if (vendor, type) not in replaced
    )
    return Attribute(VENDOR_SPECIFIC, attribute.value[:VENDOR_ID] + left) if left else None


# ---- values


def _encoded(setting: Setting, definition: Definition, values: Mapping[str, int]) -> bytes:
    if definition.type in _INTEGERS:
        return _integer(setting, definition, values)
    encode = _TYPES.get(definition.type)
    if encode is None:
        raise MalformedSetting(f"{definition.name} is of type {definition.type}, which can't be written here")
    try:
        octets = encode(setting.value)
    except ValueError:
        raise MalformedSetting(f"{definition.name}: {_EXPECTED[definition.type]} is expected") from None
    # RFC 2868 §3.3: in text, an octet up to 0x1F in front is a tag.
    return octets if setting.tag is None else bytes((setting.tag,)) + octets


def _integer(setting: Setting, definition: Definition, values: Mapping[str, int]) -> bytes:
    size = _INTEGERS[definition.type]
    number = _number(setting.value, definition, values)
    if definition.has_tag:  # RFC 2868 §3.1: the first octet of four is the tag
        size -= 1
    signed = definition.type == "signed"
    try:
        octets = number.to_bytes(size, "big", signed=signed)
    except OverflowError:
        raise MalformedSetting(f"{definition.name}: {number} doesn't fit into {size} octets") from None
    return bytes((setting.tag or 0,)) + octets if definition.has_tag else octets


def _number(text: str, definition: Definition, values: Mapping[str, int]) -> int:
    if (named := values.get(text.lower())) is not None:
        return named
    if re.fullmatch(r"-?\d{1,20}|0[xX][0-9a-fA-F]{1,16}", text):
        return int(text, 16 if text[:2] in ("0x", "0X") else 10)
    names = f", or {', '.join(sorted(values))}" if values else ""
    raise MalformedSetting(f"{definition.name}: a number is expected{names}")


def _text(text: str) -> bytes:
    return text.encode("utf-8")


def _octets(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text[:2] in ("0x", "0X") else text.encode("utf-8")


def _ipv6_prefix(text: str) -> bytes:
    """RFC 3162 §2.3."""
    network = ipaddress.IPv6Network(text)
    return bytes((0, network.prefixlen)) + network.network_address.packed


def _interface_id(text: str) -> bytes:
    """RFC 3162 §2.2: a:b:c:d."""
    parts = text.split(":")
    if len(parts) != 4:
        raise ValueError(text)
    return b"".join(int(part, 16).to_bytes(2, "big") for part in parts)


_INTEGERS = {"integer": 4, "signed": 4, "short": 2, "byte": 1, "integer64": 8, "date": 4}
_TYPES: Mapping[str, Callable[[str], bytes]] = {
    "string": _text,
    "text": _text,
    "octets": _octets,
    "ipaddr": lambda text: ipaddress.IPv4Address(text).packed,
    "ipv6addr": lambda text: ipaddress.IPv6Address(text).packed,
    "ipv6prefix": _ipv6_prefix,
    "ifid": _interface_id,
}
_EXPECTED = {
    "string": "text",
    "text": "text",
    "octets": "text, or 0x and an even number of hexadecimal digits,",
    "ipaddr": "an IPv4 address",
    "ipv6addr": "an IPv6 address",
    "ipv6prefix": "an IPv6 prefix (2001:db8::/48)",
    "ifid": "an interface id (a:b:c:d)",
}
