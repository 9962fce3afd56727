"""What the model says about each option: how it is written, and its default. For the reference and for `convert`."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from authproxy.config.options.reads import Reads
from authproxy.secret import Secret

# Nearly always there, though a section can do without.
_USUAL = ("clients", "secret")
_LAST = ("radsec_", "http_proxy_")


def ranked(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """Options by name: the required ones first, rarely needed ones last."""
    return sorted(model.model_fields.items(), key=_rank)


def _rank(named: tuple[str, FieldInfo]) -> tuple[bool, int]:
    option, field = named
    needed = field.is_required() or option in _USUAL
    return not needed, next((rank for rank, prefix in enumerate(_LAST, 1) if option.startswith(prefix)), 0)


def reads(field: FieldInfo) -> Reads:
    """How the option is written: the outermost `Reads` of its type."""
    return _reads_in(field)[-1]


def item_reads(field: FieldInfo) -> Reads:
    """How an item of a list option is written."""
    return _reads_in(field)[0]


def _reads_in(field: FieldInfo) -> list[Reads]:
    own = [part for part in field.metadata if isinstance(part, Reads)]
    return [*_inner(field.annotation), *own]


def _inner(annotation: Any) -> Iterator[Reads]:
    for argument in typing.get_args(annotation):
        yield from _inner(argument)
    yield from (part for part in getattr(annotation, "__metadata__", ()) if isinstance(part, Reads))


def item_model(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a list option's items, if they are mappings."""
    for argument in _leaves(field.annotation):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            return argument
    return None


def is_secret(field: FieldInfo) -> bool:
    return Secret in _leaves(field.annotation)


def _leaves(annotation: Any) -> list[Any]:
    arguments = typing.get_args(annotation)
    return [leaf for argument in arguments for leaf in _leaves(argument)] if arguments else [annotation]


def default_of(field: FieldInfo) -> str:
    """The default as in a file; '' if there is none, or it can't be written."""
    if field.is_required() or field.default is None:
        return ""
    match field.default:
        case bool() as flag:
            return str(flag).lower()
        case Enum() as member:
            return str(member.value)
        case tuple() as items:
            return ", ".join(str(item.value if isinstance(item, Enum) else item) for item in items)
        case value:
            return str(value)
