"""What all sections have in common: a strict frozen model, numbered families, rules and risks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Finding:
    """A remark about an option, to be shown with its line. Option '': the section itself."""

    option: str | tuple[str | int, ...]
    what: str

    @property
    def location(self) -> tuple[str | int, ...]:
        if isinstance(self.option, tuple):
            return self.option
        return (self.option,) if self.option else ()


# The name of a section, and a finding about it.
Between = tuple[str, Finding]


@light_dataclass(frozen=True, slots=True)
class Family:
    """`stem_1`, `stem_2`, … are items of the list `option`. `bare`: the first may be written `stem` alone.

    `each`: in a `.cfg` there is one for each item of that list; if it isn't set, it is `default`.
    """

    option: str
    stem: str
    bare: bool = False
    each: str = ""
    default: str = ""


@light_dataclass(frozen=True, slots=True)
class GroupFamily:
    """`stem_1` and its companions are mappings in the list `option`; each stem has its key there."""

    option: str
    stems: Mapping[str, str]
    required: tuple[str, ...]


class Options(BaseModel):
    """A mapping of options: frozen, strict, without unknown options, and with no values in its errors."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        validate_default=False,
        # A kind costs a megabyte, and most files have two.
        defer_build=True,
    )


class Section(Options):
    """A kind of section. A new kind is one such class and its line in `model/kinds.py`."""

    # How a `.cfg` reads an option that isn't there, where its users rely on something else than our default.
    CFG_DEFAULTS: ClassVar[Mapping[str, str]] = {}
    FAMILIES: ClassVar[tuple[Family | GroupFamily, ...]] = ()
    # Other names of options.
    ALIASES: ClassVar[Mapping[str, str]] = {}
    # What conf/reference.yaml has in effect, so that a section of each kind can stand in one file.
    SHOWN: ClassVar[Mapping[str, str | int]] = {}
    # Known options that nothing here needs: read past with a warning, which says why.
    IGNORED: ClassVar[Mapping[str, str]] = {}
    # Known options that can't be served: the reason and what to do instead.
    REFUSED: ClassVar[Mapping[str, str]] = {}

    def faults(self) -> Iterator[Finding]:
        """Contradictions between options; nothing starts with one."""
        yield from ()

    def assumptions(self, options: frozenset[str]) -> Iterator[Finding]:
        """Remarks about options that have a default of the `.cfg` syntax."""
        yield from ()

    def risks(self) -> Iterator[Finding]:
        """What works but is risky; `check` warns about it."""
        yield from ()
