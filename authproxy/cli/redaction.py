"""What of a configuration may leave the house: known options that hold no secret. The rest is named, not shown.

Shown is what is known to be harmless; hidden is not what looks dangerous. Comments stay behind, too.
"""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from authproxy.config.document import Entries, Items, Node, Scalar
from authproxy.config.families import gathered
from authproxy.config.fields import is_secret, item_model
from authproxy.config.model.kinds import SERVED, kind_of
from authproxy.config.problems import printable
from authproxy.secret import Secret

HIDDEN = "(not shown)"
# Of options that aren't known; blotted out, they would be missing from every line of every log.
_NO_SECRETS = frozenset({"true", "false"})
_SHORTEST = 5  # octets; shorter ones would blot out half of every text


@dataclass(slots=True)
class Listing:
    """A configuration's options, a line each. `hidden`: the texts that aren't shown."""

    lines: list[str] = field(default_factory=list)
    hidden: set[bytes] = field(default_factory=set)

    def show(self, path: str, node: Node) -> None:
        self.lines.append(f"{node.line:5}  {path}: {printable(_text(node))}")

    def hide(self, path: str, node: Node, why: str) -> None:
        self.lines.append(f"{node.line:5}  {path}: {HIDDEN}: {why}")
        self.hidden.update(text.encode() for text in _texts(node) if text.lower() not in _NO_SECRETS)


def listing(tree: Entries) -> Listing:
    """Every option of every section, as far as it may be shown."""
    made = Listing()
    for name, section in tree.items():
        kind = SERVED.get(kind_of(name))
        if not isinstance(section, Entries):
            made.hide(name, section, "not a section")
        elif kind is None:
            for option, node in section.items():
                made.hide(f"{name}.{option}", node, "this version doesn't serve the section")
        else:
            entries, _, _ = gathered(section, kind)
            _options(made, name, entries, kind.model_fields)
            _left_out(made, name, section, entries)
    return made


def _options(made: Listing, path: str, entries: Entries, fields: Mapping[str, FieldInfo]) -> None:
    for option, node in entries.items():
        known = fields.get(option)
        where = f"{path}.{option}"
        if known is None:
            made.hide(where, node, "no known option")
        elif is_secret(known):
            made.hide(where, node, f"a secret{_source(node)}")
        elif (model := item_model(known)) is not None:
            _items(made, where, node, model)
        else:
            made.show(where, node)


def _items(made: Listing, path: str, node: Node, model: type[BaseModel]) -> None:
    for index, item in enumerate(node if isinstance(node, Items) else [node]):
        if isinstance(item, Entries):
            _options(made, f"{path}[{index}]", item, model.model_fields)
        else:
            made.hide(f"{path}[{index}]", item, "not as it should be")


def _left_out(made: Listing, name: str, written: Entries, entries: Entries) -> None:
    """What a protected secret replaces is gone from the entries, and a secret all the same."""
    kept = set(_texts(entries))
    for option, node in written.items():
        if not kept.issuperset(_texts(node)):
            made.hide(f"{name}.{option}", node, "superseded")


def _source(node: Node) -> str:
    return f" from {next(iter(node), '')}" if isinstance(node, Entries) else ""


def _text(node: Node) -> str:
    match node:
        case Scalar(text):
            return text
        case Items():
            return ", ".join(map(_text, node))
        case Entries():
            return HIDDEN


def _texts(node: Node) -> Iterator[str]:
    match node:
        case Scalar(text):
            yield text
        case Items():
            for item in node:
                yield from _texts(item)
        case Entries():
            for item in node.values():
                yield from _texts(item)


def secrets_in(models: Iterable[BaseModel]) -> Iterator[bytes]:
    """Every secret of a configuration, including those from files and sealed ones."""
    for model in models:
        yield from _secrets(model)


def _secrets(value: object) -> Iterator[bytes]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _secrets(item)


class Blotter:
    """Removes secrets from any text, as a last check; by then there should be none left."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    def blot(self, octets: bytes) -> bytes:
        for form in self._forms:
            octets = octets.replace(form, b"(blotted out)")
        return octets


def _forms(secret: bytes) -> Iterator[bytes]:
    """As it stands, and as programs write octets: hex, base64 wherever it may begin, URLs, escapes, UTF-16."""
    yield secret
    yield secret[::-1]
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        # What the octets before and behind it change in the first and last letters is cut off.
        inner = encoded[(0, 2, 3)[before] :].rstrip(b"=")[: -1 if (before + len(secret)) % 3 else None]
        if len(inner) >= _SHORTEST:
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")
    yield urllib.parse.quote(secret, safe="").encode()
    yield urllib.parse.quote_plus(secret).encode()
    text = secret.decode("utf-8", "replace")
    yield text.encode("utf-16-le")
    yield text.encode("unicode_escape")
    yield repr(secret)[2:-1].encode()
