"""The whole configuration, as the service uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from authproxy.config.model.main import Main
from authproxy.config.model.section import Section
from authproxy.values import light_dataclass

S = TypeVar("S", bound=Section)


@light_dataclass(frozen=True, slots=True)
class Config:
    """`sections`: all but main, by name, in the order of the file.

    Defaults, what sections inherit from main, and each server's client are filled in already.
    """

    main: Main
    sections: Mapping[str, Section]

    def all(self, kind: type[S]) -> dict[str, S]:
        """The sections of a kind (or of a base of kinds), by name."""
        return {name: section for name, section in self.sections.items() if isinstance(section, kind)}
