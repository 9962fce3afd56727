"""Flags, numbers, words, text and lists of them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, TypeVar

from authproxy.config.document import Scalar, Style
from authproxy.config.options.reads import NAMED, Reads, one_or_more, text_of, word_of, words_of, wrong
from authproxy.config.problems import suggestion
from authproxy.config.reading import Reading

E = TypeVar("E", bound=Enum)


def _flag(node: object, _: Reading) -> bool:
    if not isinstance(node, Scalar):
        wrong("true or false is expected here")
    if node.style is Style.CFG:
        text = node.text.lower()
        if text in ("true", "false"):
            return text == "true"
        return bool(int(text)) if re.fullmatch(r"\d{1,9}", text) else wrong("write true or false")
    if node.style is Style.PLAIN and node.text in ("true", "false"):
        return node.text == "true"
    return wrong("write true or false, without quotes")


Flag = Annotated[bool, Reads(_flag, "`true` or `false`", {"type": "boolean"})]


def _number_text(node: object) -> str:
    if not isinstance(node, Scalar):
        wrong("a number is expected here")
    if node.style is Style.QUOTED:
        wrong("a number is expected here, without quotes")
    return node.text


def _whole(node: object, _: Reading) -> int:
    text = _number_text(node)
    if not re.fullmatch(r"0|-?[1-9]\d{0,17}", text):
        wrong("a whole number is expected here, in decimal and without leading zeros")
    return int(text)


def _seconds(node: object, _: Reading) -> float:
    text = _number_text(node)
    if not re.fullmatch(r"(0|[1-9]\d{0,8})(\.\d{1,6})?", text):
        wrong("seconds are expected here, such as 10 or 0.5")
    return float(text)


def between(low: float, high: float) -> Callable[[Any], Any]:
    """A check of a range."""

    def check(value: Any) -> Any:
        return (
            value
            if low <= value <= high
            else wrong(f"{value:.10g} is not between {low:.10g} and {high:.10g}")
        )

    return check


def whole(low: int, high: int) -> Reads:
    """A whole number in a range."""
    within = between(low, high)
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Reads(lambda node, reading: within(_whole(node, reading)), f"{low} to {high}", schema)


def seconds(low: float, high: float) -> Reads:
    """Seconds in a range."""
    within = between(low, high)
    schema = {"type": "number", "minimum": low, "maximum": high}
    return Reads(
        lambda node, reading: within(_seconds(node, reading)), f"seconds, {low:g} to {high:g}", schema
    )


Port = Annotated[int, whole(1, 65535)]
# 0: any free one, which `ready` tells.
ListenPort = Annotated[int, whole(0, 65535)]


def _text(node: object, _: Reading) -> str:
    return text_of(node)


def _maybe_text(node: object, reading: Reading) -> str:
    empty = isinstance(node, Scalar) and not node.text and node.style is not Style.PLAIN
    return "" if empty else _text(node, reading)


Text = Annotated[str, Reads(_text, "text", NAMED)]
MaybeText = Annotated[str, Reads(_maybe_text, "text, or empty", {"type": "string"})]


def matching(pattern: str, problem: str, written: str, *, any_case: bool = False) -> Reads:
    """Text of one form; `problem` is the error. `any_case`: in a `.cfg`, capital letters count as small ones."""

    def read(node: object, _: Reading) -> str:
        text = text_of(node)
        if any_case and isinstance(node, Scalar) and node.style is Style.CFG:
            text = text.lower()
        return text if re.fullmatch(pattern, text) else wrong(problem)

    return Reads(read, written, {"type": "string", "pattern": f"^({pattern})$"}, any_case=any_case)


def one_of(kind: type[E], refused: Mapping[str, str] | None = None) -> Reads:
    """A word of an enumeration. `refused`: words of existing files that aren't supported, with what to do instead."""
    words = [str(member.value) for member in kind]

    def read(node: object, _: Reading) -> E:
        word = word_of(node)
        if word in words:
            return kind(word)
        if word in (refused or {}):
            wrong((refused or {})[word])
        return wrong(f"{word} is not one of {', '.join(words)}{suggestion(word, words)}")

    return Reads(read, " or ".join(f"`{word}`" for word in words), {"enum": words})


def _listed(node: object, _: Reading) -> tuple[Any, ...]:
    return one_or_more(node)


def _listed_words(node: object, _: Reading) -> tuple[Any, ...]:
    return words_of(node)


Listed = Reads(_listed, "a list")
ListedWords = Reads(_listed_words, "a list (in a .cfg, separated by commas)")


def _codec(node: object, _: Reading) -> str:
    text = text_of(node)
    printable = bytes(range(0x20, 0x7F)).replace(b"\\", b"")
    try:
        name = codecs.lookup(text).name
        # Whatever reads ASCII as something else would change passwords (utf-16, utf-7, punycode, …).
        usable = "escape" not in name and printable.decode(name) == printable.decode("ascii")
    except (LookupError, UnicodeError, ValueError):
        usable = False
    return name if usable else wrong(f"{text!r} is not a character encoding that passwords can have")


Codec = Annotated[str, Reads(_codec, "a character encoding", NAMED)]
