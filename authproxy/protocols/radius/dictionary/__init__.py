"""Attributes by name, from files in the common dictionary format: ours beside this module, and further ones.

Our files come with the package and are read by importlib.resources; further ones, such as FreeRADIUS's, come in as
texts by name from whoever may open files (`$INCLUDE` finds them among these). So nothing here opens a path.
pyrad's parser has its one home here. It is imported when a dictionary is first asked for, not before: no login needs
one, and the start is quicker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from importlib import resources

from authproxy.protocols.radius.salted import STANDARD_HIDDEN, Hiding
from authproxy.protocols.radius.vendor import Key
from authproxy.values import light_dataclass

_PREFIX = "dictionary."
_HIDING = {
    (1, False): Hiding.PASSWORD,
    (1, True): Hiding.PASSWORD,
    (2, False): Hiding.SALTED,
    (2, True): Hiding.TAGGED_SALTED,
    (3, False): Hiding.ASCEND,
    (3, True): Hiding.ASCEND,
}


@light_dataclass(frozen=True, slots=True)
class Definition:
    """`vendor`: its number; None for an attribute of the RFCs. `type`: the format's word, such as `ipaddr`."""

    name: str
    vendor: int | None
    number: int
    type: str
    encrypt: int = 0  # 1, 2, 3 as in the files; 0: not hidden
    has_tag: bool = False

    @property
    def key(self) -> Key:
        return (self.vendor, self.number)


@light_dataclass(frozen=True, slots=True)
class Skipped:
    """Something in a file that isn't understood here. `what`: an attribute, a line or a file."""

    what: str
    reason: str


@light_dataclass(frozen=True, slots=True)
class Dictionary:
    _by_name: Mapping[str, Definition] = field(repr=False)
    _by_key: Mapping[Key, Definition] = field(repr=False)
    _vendors: Mapping[int, str] = field(repr=False)
    # For salted.Crossing: the RFCs' own, whatever a further file says, and the files' others.
    hidden: Mapping[Key, Hiding] = field(repr=False)
    _values: Mapping[str, Mapping[str, int]] = field(repr=False)
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str) -> Definition | None:
        """The definition with this name, in capital or small letters; None: there is none."""
        return self._by_name.get(name.lower())

    def values(self, name: str) -> Mapping[str, int]:
        """The named values of this attribute, in small letters."""
        return self._values.get(name.lower(), {})

    def names(self) -> Iterable[str]:
        return (definition.name for definition in self._by_name.values())

    def name(self, vendor: int | None, number: int) -> str:
        """A name for people, or numbers if the attribute has none."""
        if (definition := self._by_key.get((vendor, number))) is not None:
            return definition.name
        if vendor is None:
            return f"attribute {number}"
        return f"{self._vendors.get(vendor, f'vendor {vendor}')} attribute {number}"


def load(further: Mapping[str, str] | None = None) -> Dictionary:
    """Our dictionary, then the further files: a name that both have is theirs.

    `further`: file names and their texts. With one that is called `dictionary`, that one is read and what it
    includes, as FreeRADIUS does; else all, in the order of their names. What can't be understood is in `skipped`,
    and no reason not to start.
    """
    from authproxy.protocols.radius.dictionary.reader import Reader  # noqa: PLC0415 - brings pyrad

    reader = Reader()
    reader.read(_own_files())
    reader.read(further or {})
    by_name: dict[str, Definition] = {}
    by_key: dict[Key, Definition] = {}
    hidden: dict[Key, Hiding] = {}
    for definition in reader.definitions():
        by_name[definition.name.lower()] = definition
        by_key.setdefault(definition.key, definition)
        if definition.encrypt:
            hidden[definition.key] = _HIDING[definition.encrypt, definition.has_tag]
    return Dictionary(
        by_name, by_key, reader.vendors(), {**hidden, **STANDARD_HIDDEN}, reader.values, reader.skipped()
    )


def _own_files() -> dict[str, str]:
    folder = resources.files(__name__)
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.startswith(_PREFIX)
    }
