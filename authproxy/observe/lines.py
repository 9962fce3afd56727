"""One event, one line: as text for people, as JSON for machines.

What a peer controls can't leave its place (S2): every character that doesn't print, line breaks, escapes, bidi
marks and lone surrogates among them, is written as an escape, and every value has an end.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from json.encoder import encode_basestring, encode_basestring_ascii
from math import isfinite

from authproxy.values import light_dataclass

MAX_VALUE = 2048  # characters of one value; a name has 253 octets, a traceback some hundred characters

# What stands in a text line without quotes, beside words: ASCII that prints, no space, no `"`, no `=`, no `\`.
_BARE = re.compile(r"[!#-<>-\[\]-~]+")
_OWN_FIELDS = frozenset({"timestamp", "level", "event"})


class Severity(IntEnum):
    """With the numbers of syslog (RFC 5424 §6.2.1)."""

    ERROR = 3
    WARN = 4
    INFO = 6
    DEBUG = 7


# What the lines say for it.
WORDS = {severity: severity.name.lower() for severity in Severity}


class OwnText:
    """Fields that are logged so often that they have a cheaper way of their own to the same text."""

    __slots__ = ()

    def items(self) -> Iterable[tuple[str, object]]:
        raise NotImplementedError

    def text(self) -> str:
        """`name=value name=value`, each value as `quoted`."""
        raise NotImplementedError


@light_dataclass(frozen=True, slots=True)
class Event:
    """`at`: seconds since 1970."""

    at: float
    severity: Severity
    name: str
    fields: Mapping[str, object] | OwnText


@lru_cache(maxsize=4)  # a login's line in the log has the time of its audit event
def timestamp(at: float) -> str:
    """UTC, ISO 8601, microseconds."""
    whole = int(at)
    milli, micro = divmod(int((at - whole) * 1_000_000), 1000)
    return f"{_second(whole)}.{_THREE_DIGITS[milli]}{_THREE_DIGITS[micro]}Z"


# Formatting a number costs as much as all else of a time stamp, and each login has two.
_THREE_DIGITS = [f"{number:03d}" for number in range(1000)]


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def capped(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…(+{len(text) - MAX_VALUE})"


def as_text(event: Event) -> str:
    """`2025-01-31T12:00:00.000000Z warn radius.discarded cause=code source=192.0.2.1`"""
    return f"{timestamp(event.at)} {WORDS[event.severity]} {as_message(event)}"


def as_message(event: Event) -> str:
    """The event without what syslog and the journal add themselves."""
    fields = event.fields
    if isinstance(fields, OwnText):
        return f"{event.name} {fields.text()}"
    if not fields:
        return event.name
    return f"{event.name} {' '.join([f'{key}={quoted(value)}' for key, value in fields.items()])}"


def as_json(event: Event) -> str:
    line: dict[str, object] = {
        "timestamp": timestamp(event.at),
        "level": WORDS[event.severity],
        "event": event.name,
    }
    for key, value in event.fields.items():
        line[f"{key}_" if key in _OWN_FIELDS else key] = _plain(value)
    return json_line(line)


def json_line(fields: Mapping[str, object]) -> str:
    """One line of JSON. Letters of every script stay readable, unless the line has one that doesn't print."""
    line = readable_json(fields)
    return line if line.isprintable() else _ascii(fields)


readable_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def text_of(value: object) -> str:
    """A value as text, limited in length."""
    if isinstance(value, bytes):
        return capped(value.decode("utf-8", "backslashreplace"))
    return capped(value if isinstance(value, str) else str(value))


def _plain(value: object) -> object:
    """Numbers, true, false and null stay what they are in JSON."""
    # JSON has no infinity, and an IntEnum means a word, not its number.
    if value is None or type(value) in (bool, int) or (type(value) is float and isfinite(value)):
        return value
    return text_of(value)


def quoted(value: object) -> str:
    """A value as it stands in a text line."""
    # Most values are words: this is where a line's time goes.
    if (
        type(value) is str
        and len(value) <= MAX_VALUE
        and (value.isalnum() or value.isidentifier() or _BARE.fullmatch(value))
    ):
        return value
    if value is None or isinstance(value, bool):
        return _WORDS_OF[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    text = text_of(value)
    if _BARE.fullmatch(text):
        return text
    return encode_basestring(text) if text.isprintable() else encode_basestring_ascii(text)


_WORDS_OF: dict[object, str] = {None: "null", True: "true", False: "false"}
