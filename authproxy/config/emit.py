"""Writes a tree as YAML that reads back the same. It contains the administrator's secrets, and is only for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pydantic.fields import FieldInfo

from authproxy.config.document import Entries, Items, Node, Scalar
from authproxy.config.fields import is_secret, item_model, item_reads, reads
from authproxy.config.model.kinds import SERVED, kind_of
from authproxy.config.options.reads import Reads, words_of
from authproxy.config.problems import printable
from authproxy.config.yaml_syntax import other_meaning

# What stands without quotes and means itself in every version of YAML.
_SAFE = re.compile(r"[A-Za-z0-9_./]([A-Za-z0-9_./@+=-]|:(?=[A-Za-z0-9/])| (?=[A-Za-z0-9_./@+=-]))*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

# The option and its text, to the text for the new file.
RenamePath = Callable[[str, str], str]


def quoted(text: str) -> str:
    """A YAML double-quoted scalar."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if character.isprintable():
        return character
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def plain_or_quoted(text: str) -> str:
    return text if _SAFE.fullmatch(text) and not other_meaning(text) else quoted(text)


def emit(
    sections: Iterable[tuple[str, Entries]], comments: dict[str, tuple[str, ...]], path: RenamePath
) -> str:
    """The sections as YAML. `path` rewrites file names."""
    blocks = []
    for name, entries in sections:
        lines = [*_comment(comments.get(name, ()), ""), f"{name}:", *_options(name, entries, path)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _comment(lines: Iterable[str], indent: str) -> Iterator[str]:
    for line in lines:
        # A separator such as U+2028 would end the comment, and the rest of it would be read as an option.
        yield f"{indent}# {printable(line)}".rstrip()


def _options(name: str, entries: Entries, path: RenamePath) -> Iterator[str]:
    fields = SERVED[kind_of(name)].model_fields
    # Where the file has them, a family where it begins; what nobody wrote comes last.
    in_order = sorted(entries, key=lambda option: (option in entries.assumed, entries.lines[option]))
    for option in in_order:
        node = entries[option]
        yield from _comment(entries.comments.get(option, ()), "  ")
        field = fields[option]
        model = item_model(field)
        if model is not None and isinstance(node, Items):
            yield f"  {option}:"
            for item in node:
                yield from _item(item, model.model_fields, path)
        else:
            yield f"  {option}: {_value(node, field, partial(path, option))}"
    if not entries:
        yield "  {}"


def _item(item: Node, fields: dict[str, FieldInfo], path: RenamePath) -> Iterator[str]:
    if not isinstance(item, Entries):
        raise TypeError("a mapping is expected here")
    for comments in item.comments.values():
        yield from _comment(comments, "    ")
    parts = [
        f"{option}: {_value(node, fields[option], partial(path, option))}" for option, node in item.items()
    ]
    yield f"    - {{{', '.join(parts)}}}"


def _value(node: Node, field: FieldInfo, path: Callable[[str], str]) -> str:
    how = reads(field)
    if isinstance(node, Entries):
        return "{" + ", ".join(f"{key}: {quoted(_text(value))}" for key, value in node.items()) + "}"
    if is_secret(field):
        return quoted(_text(node))
    if not how.schema:
        items = (how.items or words_of)(node)
        return "[" + ", ".join(_scalar(item, item_reads(field), path) for item in items) + "]"
    return _scalar(node, how, path)


def _scalar(node: Node, how: Reads, path: Callable[[str], str]) -> str:
    text = _text(node)
    kind = how.schema.get("type")
    if kind == "boolean":
        return "false" if text.lower() == "false" or text.strip("0") == "" else "true"
    if kind in ("integer", "number"):
        return text
    if "enum" in how.schema or how.any_case:
        return text.lower()
    return plain_or_quoted(path(text) if how.is_path else text)


def _text(node: Node) -> str:
    if not isinstance(node, Scalar):
        raise TypeError("text is expected here")
    return node.text
