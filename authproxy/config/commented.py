"""A YAML configuration with every option in its place (conf/reference.yaml), made from the model.

What has to be there stands there, with an example; the rest is commented out, at its default or with an example.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from authproxy.config.emit import plain_or_quoted
from authproxy.config.fields import item_model, ranked
from authproxy.config.model.kinds import SERVED

_HEAD = """\
# Every option, at its default or with an example. Made by `authproxy schema --reference-yaml > conf/reference.yaml`.
# docs/options.md says more. To start with, one of the other files in this folder is better.
# yaml-language-server: $schema=authproxy.schema.json
"""
_WIDTH = 110
# What the default of another option or another section requires, and what nearly every section has.
_IN_EFFECT = frozenset({"service_account_username", "clients", "secret", "challenge_key"})


def reference_yaml() -> str:
    """The whole file, as text."""
    blocks = [_HEAD]
    for name, kind in SERVED.items():
        lines = [*_wrapped(kind.__doc__ or "", ""), f"{name}:", *_options(kind, "  ", kind.SHOWN)]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _options(model: type[BaseModel], indent: str, shown: Mapping[str, str | int] = {}) -> Iterator[str]:
    for option, field in ranked(model):
        off = "" if field.is_required() or option in _IN_EFFECT or option in shown else "# "
        yield from _wrapped(field.description or "", indent)
        items = item_model(field)
        # A list that may be left out is shown on one line, so that one mark switches it on.
        if items is None or off:
            yield f"{indent}{off}{option}: {as_yaml(shown.get(option, example(field)))}"
        else:
            yield f"{indent}{option}:"
            yield from _item(items, indent + "  ")


def _item(model: type[BaseModel], indent: str) -> Iterator[str]:
    """One entry of a list, its first option behind the dash."""
    lines = list(_options(model, indent + "  "))
    first = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("#"))
    yield from lines[:first]
    yield f"{indent}- {lines[first].lstrip()}"
    yield from lines[first + 1 :]


def _wrapped(text: str, indent: str) -> Iterator[str]:
    # Two marks: what stands behind one can be switched on by taking the mark away.
    mark = f"{indent}## "
    yield from textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent=mark, subsequent_indent=mark, break_on_hyphens=False
    )


def example(field: FieldInfo) -> Any:
    """The default; an example if there is none."""
    if field.examples:
        return field.examples[0]
    return field.default


def as_yaml(value: Any) -> str:
    """A value in YAML, on one line."""
    match value:
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case int() | float():
            return f"{value:.10g}"
        case list() | tuple():
            return f"[{', '.join(map(as_yaml, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
        case _:
            return plain_or_quoted(str(value))
