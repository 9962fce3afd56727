"""The types of options: how each is written, read and described. `Reads` turns a file's scalar into the value.

A value that is no scalar passes through: code that builds a section directly gives the value itself.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from authproxy.config.document import Entries, Items, Scalar, Style
from authproxy.config.problems import suggestion
from authproxy.config.reading import Reading, SecretUnavailable
from authproxy.config.secret_sources import SOURCES, read_source
from authproxy.config.yaml_syntax import other_meaning
from authproxy.secret import Secret

Network = IPv4Network | IPv6Network
E = TypeVar("E", bound=Enum)


def wrong(what: str) -> NoReturn:
    """Raise what pydantic carries on as this option's problem."""
    raise PydanticCustomError("option", "{what}", {"what": what})


@dataclass(frozen=True, eq=False)
class Reads:
    """`read(node, reading)` gives the value or calls `wrong`; `written` says in the reference what may stand there."""

    read: Callable[[Any, Reading], object]
    written: str
    # As JSON Schema; empty: a list, or one of its items.
    schema: Mapping[str, Any] = field(default_factory=dict)
    is_path: bool = False

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
    """The text of a scalar that may stand for text and nothing else."""
    if not isinstance(node, Scalar):
        wrong(f"{what} is expected here, not a {'list' if isinstance(node, Items) else 'mapping'}")
    if node.style is Style.PLAIN:
        if node.text and (meaning := other_meaning(node.text)):
            wrong(f"put it in quotes: without them YAML takes it for {meaning}")
        if node.doubtful:
            wrong(f"put it in quotes: {node.doubtful}")
    if not node.text:
        wrong("has no value")
    return node.text


def word_of(node: object) -> str:
    """The text of a scalar out of a fixed set of words, where `no` and `yes` are as good as others."""
    if not isinstance(node, Scalar):
        wrong("one word is expected here")
    return node.text.strip().lower() or wrong("has no value")


def one_or_more(node: object) -> tuple[Any, ...]:
    """The items of a list; a single value is a list of one."""
    if isinstance(node, Items):
        return tuple(node) or wrong("the list is empty")
    return (node,) if isinstance(node, Scalar) else wrong("a list is expected here")


def words_of(node: object) -> tuple[Any, ...]:
    """As one_or_more; in a .cfg, whose lists are written with commas, each part of the line."""
    if isinstance(node, Scalar) and node.style is Style.CFG:
        return tuple(Scalar(part.strip(), node.line, Style.CFG) for part in node.text.split(","))
    return one_or_more(node)


# ---- simple values


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
    wrong("write true or false, without quotes")


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


def _between(low: float, high: float) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        return value if low <= value <= high else wrong(f"{value:g} is not between {low:g} and {high:g}")

    return check


def whole(low: int, high: int) -> Reads:
    """A whole number in a range."""
    within = _between(low, high)
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Reads(lambda node, reading: within(_whole(node, reading)), f"{low} to {high}", schema)


def seconds(low: float, high: float) -> Reads:
    """Seconds in a range."""
    within = _between(low, high)
    schema = {"type": "number", "minimum": low, "maximum": high}
    return Reads(
        lambda node, reading: within(_seconds(node, reading)), f"seconds, {low:g} to {high:g}", schema
    )


Port = Annotated[int, whole(1, 65535)]


def _text(node: object, _: Reading) -> str:
    return text_of(node)


def _maybe_text(node: object, reading: Reading) -> str:
    empty = isinstance(node, Scalar) and not node.text and node.style is not Style.PLAIN
    return "" if empty else _text(node, reading)


Text = Annotated[str, Reads(_text, "text", {"type": "string", "minLength": 1})]
MaybeText = Annotated[str, Reads(_maybe_text, "text, or empty", {"type": "string"})]


def matching(pattern: str, problem: str, written: str) -> Reads:
    """Text of one form; `problem` says what it isn't."""

    def read(node: object, _: Reading) -> str:
        text = text_of(node)
        return text if re.fullmatch(pattern, text) else wrong(problem)

    return Reads(read, written, {"type": "string", "pattern": f"^({pattern})$"})


def one_of(kind: type[E], refused: Mapping[str, str] | None = None) -> Reads:
    """A word of an enumeration. `refused`: words that are known elsewhere, and what to do instead."""
    words = [str(member.value) for member in kind]

    def read(node: object, _: Reading) -> E:
        word = word_of(node)
        if word in words:
            return kind(word)
        if word in (refused or {}):
            wrong((refused or {})[word])
        wrong(f"{word} is none of {', '.join(words)}{suggestion(word, words)}")

    return Reads(read, " or ".join(f"`{word}`" for word in words), {"enum": words})


def _listed(node: object, _: Reading) -> tuple[Any, ...]:
    return one_or_more(node)


def _listed_words(node: object, _: Reading) -> tuple[Any, ...]:
    return words_of(node)


Listed = Reads(_listed, "a list")
ListedWords = Reads(_listed_words, "a list; in a .cfg with commas")


# ---- names of machines and files


def _path(node: object, reading: Reading) -> Path:
    return reading.path(text_of(node, what="one file name"))


def _opened(node: object, reading: Reading, *, secret: bool) -> Path:
    path = _path(node, reading)
    if reading.touch:
        try:
            with path.open("rb") as file:
                file.read(1)
        except OSError as error:
            wrong(f"{path}: {error.strerror}")
        if isinstance(node, Scalar):
            reading.saw(node, path, secret=secret)
    return path


def _file(node: object, reading: Reading) -> Path:
    return _opened(node, reading, secret=False)


def _key_file(node: object, reading: Reading) -> Path:
    return _opened(node, reading, secret=True)


def _log_folder(node: object, reading: Reading) -> Path:
    return reading.log_folder / Path(text_of(node, what="one folder")).expanduser()


def _folder(node: object, reading: Reading) -> Path:
    path = _path(node, reading)
    if reading.touch and not path.is_dir():
        wrong(f"{path}: not a folder")
    return path


_NAMED = {"type": "string", "minLength": 1}
PathOption = Annotated[Path, Reads(_path, "a path", _NAMED, is_path=True)]
FileOption = Annotated[Path, Reads(_file, "a file, which has to be there", _NAMED, is_path=True)]
KeyFileOption = Annotated[Path, Reads(_key_file, "a file, which has to be there", _NAMED, is_path=True)]
LogFolderOption = Annotated[Path, Reads(_log_folder, "a folder", _NAMED, is_path=True)]
FolderOption = Annotated[Path, Reads(_folder, "a folder, which has to be there", _NAMED, is_path=True)]

# RFC 1123 §2.1, with the underscore that Windows domains have.
_NAME = re.compile(
    r"(?=.{1,253}\.?$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _host(node: object, _: Reading) -> str:
    # A name is never taken for another thing by YAML, and an address is only text here.
    text = node.text if isinstance(node, Scalar) and is_address(node.text) else text_of(node, what="one host")
    if is_address(text):
        return text
    if "://" in text or "/" in text:
        wrong("a host's name or address is expected here, not a URL")
    if re.fullmatch(r"[^:]+:\d+", text):
        wrong("a host's name or address is expected here; the port has an option of its own")
    if re.fullmatch(r"[\d.]+", text) or not _NAME.fullmatch(text):
        wrong(f"{text!r} is neither a host's name nor an address")
    return text.rstrip(".").lower()


Host = Annotated[str, Reads(_host, "a host's name or address", _NAMED)]


def _address(node: object, _: Reading) -> str:
    text = word_of(node)
    return str(ip_address(text)) if is_address(text) else wrong(f"{text!r} is not an IP address")


Address = Annotated[str, Reads(_address, "an IP address", _NAMED)]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        return ip_address(self.host).is_loopback


def _endpoint(node: object, _: Reading) -> Endpoint:
    text = node.text if isinstance(node, Scalar) else wrong("ADDRESS:PORT is expected here")
    found = re.fullmatch(r"\[?([^\[\]]+?)\]?:(\d{1,5})", text)
    if found is None:
        wrong("ADDRESS:PORT is expected here, such as 127.0.0.1:8912")
    host = "127.0.0.1" if found[1] == "localhost" else found[1]
    if not is_address(host):
        wrong(f"{host!r} is not an IP address")
    return Endpoint(host, _between(1, 65535)(int(found[2])))


EndpointOption = Annotated[
    Endpoint, Reads(_endpoint, "ADDRESS:PORT", {"type": "string", "pattern": ":[0-9]+$"})
]


def read_networks(text: str) -> tuple[Network, ...]:
    """The networks that an address, a CIDR, IP/mask or a-b stands for. Raises ValueError, which says why."""
    if "%" in text:
        raise ValueError("a scope (%…) is not part of an address here; leave it out")
    first, dash, last = (part.strip() for part in text.partition("-"))
    if dash:
        networks = _range(first, last)
    else:
        try:
            networks = (ip_network(text, strict=False),)
        except ValueError:
            raise ValueError(
                f"{text!r} is not an address, a network (10.0.0.0/24) or a range (a-b)"
            ) from None
    return tuple(_unmapped(network) for network in networks)


def _range(first: str, last: str) -> tuple[Network, ...]:
    if is_address(first) and is_address(last):
        match ip_address(first), ip_address(last):
            case (IPv4Address() as low, IPv4Address() as high) if low <= high:
                return tuple(summarize_address_range(low, high))
            case (IPv6Address() as low, IPv6Address() as high) if low <= high:
                return tuple(summarize_address_range(low, high))
            case _:
                pass
    raise ValueError(f"{first}-{last} is not a range: two addresses of one kind, the lower one first")


def _unmapped(network: Network) -> Network:
    """R11: a dual-stack socket shows IPv4 as ::ffff:a.b.c.d; here it is IPv4 always."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


def _networks(node: object, _: Reading) -> tuple[Network, ...]:
    networks: list[Network] = []
    for item in one_or_more(node):
        text = item.text if isinstance(item, Scalar) else wrong("an address or a network is expected here")
        try:
            networks.extend(read_networks(text.strip() or wrong("has no value")))
        except ValueError as error:
            wrong(str(error))
    return tuple(networks)


Networks = Annotated[
    tuple[Network, ...],
    Reads(
        _networks,
        "an address, CIDR, IP/mask, range a-b, or a list of them",
        {"anyOf": [_NAMED, {"type": "array", "minItems": 1, "items": _NAMED}]},
    ),
]


def _codec(node: object, _: Reading) -> str:
    text = text_of(node)
    try:
        name = codecs.lookup(text).name
        printable = bytes(range(0x20, 0x7F))
        # Whatever reads ASCII as something else would change passwords (utf-16, utf-7, unicode_escape, …).
        usable = printable.decode(name) == printable.decode("ascii")
    except (LookupError, UnicodeError, ValueError):
        usable = False
    return name if usable else wrong(f"{text!r} is not a character encoding that passwords can have")


Codec = Annotated[str, Reads(_codec, "a character encoding", _NAMED)]


# ---- secrets


def _secret(node: object, reading: Reading) -> Secret:
    if isinstance(node, Entries):
        try:
            secret = read_source(node, reading)
        except SecretUnavailable as unavailable:
            wrong(str(unavailable))
        return secret
    text = text_of(node, what="a secret")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        wrong("holds a line break or another control character")
    if isinstance(node, Scalar):
        reading.saw(node, None, secret=True)
    return Secret.of(text)


_SECRET_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        *(
            {
                "type": "object",
                "properties": {name: {"type": "string", "minLength": 1, "description": description}},
                "required": [name],
                "additionalProperties": False,
            }
            for name, description in SOURCES.items()
        ),
    ]
}


class _OpaqueSecret:
    """Lets pydantic hold a Secret: it is checked to be one, and never shown."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(Secret)


SecretOption = Annotated[Secret, _OpaqueSecret(), Reads(_secret, "a secret", _SECRET_SCHEMA)]
