"""The JSON that every answer comes in: strict, bounded, written once for both sides (T8).

An answer that could be read in two ways is no answer: a name that stands twice, a number that isn't one, text that is
not Unicode, nesting without end.
"""

from __future__ import annotations

import json
import re

from authproxy.values import light_dataclass

MAX_BODY = 256 * 1024
MAX_DEPTH = 16
_BLANKS = " \t\n\r"  # RFC 8259 §2: these may stand around a value
MAX_TEXT = 1024  # characters of a text that is shown to somebody

# Control characters, and those that turn the direction of what follows (S2).
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


class MalformedAnswer(ValueError):
    """The answer breaks the protocol."""


@light_dataclass(frozen=True, slots=True)
class Success:
    """`stat: OK`. What `response` contains depends on the endpoint."""

    response: object


@light_dataclass(frozen=True, slots=True)
class Failure:
    """`stat: FAIL`. The HTTP status is `code // 100`."""

    code: int
    message: str = ""
    detail: str = ""


Envelope = Success | Failure


def decode(body: bytes) -> Envelope:
    """The envelope of an answer's octets: Success or Failure. Raises MalformedAnswer."""
    content = _load(body)
    if not isinstance(content, dict):
        raise MalformedAnswer("not an object")
    match content.get("stat"):
        case "OK":
            if "response" not in content:
                raise MalformedAnswer("no response")
            return Success(content["response"])
        case "FAIL":
            code = content.get("code")
            if not isinstance(code, int) or isinstance(code, bool):
                raise MalformedAnswer("no code")
            return Failure(
                code, clean_text(content.get("message")), clean_text(content.get("message_detail"))
            )
        case _:
            raise MalformedAnswer("neither OK nor FAIL")


def encode(envelope: Envelope) -> bytes:
    match envelope:
        case Success(response):
            content: dict[str, object] = {"stat": "OK", "response": response}
        case Failure(code, message, detail):
            content = {"stat": "FAIL", "code": code, "message": message}
            if detail:
                content["message_detail"] = detail
    return json.dumps(content).encode("ascii")


def clean_text(value: object, limit: int = MAX_TEXT) -> str:
    """A text that can be shown and logged, '' for anything else. Control characters become one space."""
    if not isinstance(value, str):
        return ""
    if value.isprintable():  # most are; what turns the direction of a text is none of it
        return value.strip()[:limit]
    return _UNPRINTABLE.sub(" ", value[: limit * 2]).strip()[:limit]


def _load(body: bytes) -> object:
    if len(body) > MAX_BODY:
        raise MalformedAnswer(f"more than {MAX_BODY} octets")
    try:
        text = body.decode("utf-8").strip(_BLANKS)
        content, end = _DECODER.raw_decode(text)
    except MalformedAnswer:
        raise
    except (ValueError, RecursionError):
        raise MalformedAnswer("not JSON") from None
    if end != len(text):
        raise MalformedAnswer("not JSON")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(content) > MAX_DEPTH:
        raise MalformedAnswer(f"nested deeper than {MAX_DEPTH}")
    return content


def _depth(content: object) -> int:
    depth, level = 0, [content]
    while level:
        nested = [item for item in level if isinstance(item, dict | list)]
        depth += bool(nested)
        level = [below for item in nested for below in (item.values() if isinstance(item, dict) else item)]
    return depth


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedAnswer("a name stands twice")
    return found


def _not_a_number(constant: str) -> object:
    raise MalformedAnswer(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_not_a_number)
