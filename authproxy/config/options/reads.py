"""How an option is read: `Reads` turns a file's scalar into the value, or says what is wrong with it.

A value that is no scalar passes through: code that builds a section directly gives the value itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from authproxy.config.document import Entries, Items, Scalar, Style
from authproxy.config.reading import Reading
from authproxy.config.yaml_syntax import other_meaning

# JSON Schema of most text.
NAMED: Mapping[str, Any] = {"type": "string", "minLength": 1}


def wrong(what: str) -> NoReturn:
    """Raise an error that pydantic reports as this option's problem."""
    raise PydanticCustomError("option", "{what}", {"what": what})


@dataclass(frozen=True, eq=False)
class Reads:
    """`read(node, reading)` returns the value or calls `wrong`; `written` describes for the reference what can be
    written.
    """

    read: Callable[[Any, Reading], object]
    written: str
    # As JSON Schema; empty: a list, or one of its items.
    schema: Mapping[str, Any] = field(default_factory=dict)
    is_path: bool = False
    # A `.cfg` may write it in capitals, as it may all names of sections and options.
    any_case: bool = False
    # Of a list whose items aren't told apart as `words_of` does it.
    items: Callable[[Any], tuple[Any, ...]] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_before_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if self.schema:
            return dict(self.schema)
        listed = dict(handler(schema))
        return {"anyOf": [listed["items"], {"type": "array", "minItems": 1, "items": listed["items"]}]}

    def _validate(self, value: object, info: ValidationInfo) -> object:
        if isinstance(value, Scalar | Items | Entries):
            assert isinstance(info.context, Reading)  # noqa: S101 - files are read with one
            return self.read(value, info.context)
        return value


def text_of(node: object, *, what: str = "one value") -> str:
    """The text of a scalar that can't mean anything but text."""
    if not isinstance(node, Scalar):
        wrong(f"{what} is expected here, not a {'list' if isinstance(node, Items) else 'mapping'}")
    if node.style is Style.PLAIN:
        if node.text and (meaning := other_meaning(node.text)):
            wrong(f"put it in quotes: without them YAML takes it for {meaning}")
        if node.continued:
            wrong("put it in quotes: it continues in the next line, and YAML joins the two")
    if not node.text:
        wrong("has no value")
    if not node.text.isprintable() and any(
        ord(character) < 0x20 or character == "\x7f" for character in node.text
    ):
        wrong("holds a line break or another control character")
    return node.text


def word_of(node: object) -> str:
    """The text of a scalar from a fixed set of words, in which `no` and `yes` are allowed."""
    if not isinstance(node, Scalar):
        wrong("one word is expected here")
    return node.text.strip().lower() or wrong("has no value")


def one_or_more(node: object) -> tuple[Any, ...]:
    """The items of a list; a single value is a list of one."""
    if isinstance(node, Items):
        return tuple(node) or wrong("the list is empty")
    return (node,) if isinstance(node, Scalar) else wrong("a list is expected here")


def words_of(node: object) -> tuple[Any, ...]:
    """Like one_or_more; in a .cfg, whose lists are written with commas, each part of the line."""
    if isinstance(node, Scalar) and node.style is Style.CFG:
        return tuple(Scalar(part.strip(), node.line, Style.CFG) for part in node.text.split(","))
    return one_or_more(node)
