"""HTML that is safe by its type: text becomes markup only through `element`, which escapes it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from json.encoder import encode_basestring_ascii

_VOID = frozenset({"meta", "link"})


class Markup(str):
    """Finished HTML."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]


def element(name: str, /, *children: Child, **attributes: str | None) -> Markup:
    """`element("p", "a < b", class_="x")`. None becomes nothing; a trailing _ of an attribute's name is removed."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(visible(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{join(children)}</{name}>")


def join(child: Child) -> Markup:
    match child:
        case None:
            return Markup("")
        case Markup():
            return child
        case str():
            return Markup(escape(visible(child)))
        case int():
            return Markup(child)
        case _:
            return Markup("".join(join(one) for one in child))


def visible(text: str) -> str:
    """Characters that don't print, as escapes: a name can't turn the text around it (S2)."""
    return text if text.isprintable() else encode_basestring_ascii(text)[1:-1]
