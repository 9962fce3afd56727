"""A configuration while it is being built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from authproxy.config.dictionary_folder import read_dictionary_folder
from authproxy.config.load import Loaded
from authproxy.config.problems import Problem, suggestion
from authproxy.protocols.radius import dictionary
from authproxy.protocols.radius.relay import Allowed
from authproxy.protocols.radius.vendor import Key
from authproxy.service.building.parts import Built, Section
from authproxy.service.building.world import World
from authproxy.service.certificates import expiries_of

# Attributes that need no dictionary, whose loading costs the start a tenth of a second.
_USUAL: Mapping[str, Key] = {
    "calling-station-id": (None, 31),
    "paloalto": (25461, 7),
}


class Draft:
    """Collects all problems, to report them at once, and the actions that touch parts of an earlier configuration."""

    def __init__(self, loaded: Loaded, world: World, earlier: Built | None) -> None:
        self._loaded = loaded
        self.config = loaded.config
        self.world = world
        self.earlier = earlier
        self.problems: list[Problem] = []
        self.expiries: dict[str, float] = expiries_of(loaded.config)
        self.adoptions: list[Callable[[], None]] = []
        self._dictionary: dictionary.Dictionary | None = None

    def problem(self, section: str, option: str | tuple[str | int, ...], what: str) -> None:
        self.problems.append(self._loaded.problem(section, option, what))

    def earlier_section(self, name: str) -> Section | None:
        return self.earlier.sections.get(name) if self.earlier else None

    def when_started(self, adopt: Callable[[], None]) -> None:
        """Postpone an action on an earlier configuration's parts until the new one is certain to start (A13)."""
        self.adoptions.append(adopt)

    # ---- attributes by name

    def allowed(self, section: str, names: Sequence[str], everything: bool) -> Allowed:
        found = (self.key(section, "pass_through_attr_names", name) for name in names)
        return Allowed(frozenset(key for key in found if key is not None), everything)

    def key(self, section: str, option: str, name: str) -> Key | None:
        if (usual := _USUAL.get(name.lower())) is not None:
            return usual
        found = self.attributes.find(name)
        if found is None:
            known = suggestion(name, self.attributes.names())
            self.problem(section, option, f"no dictionary has an attribute {name}{known}")
            return None
        return found.key

    @property
    def attributes(self) -> dictionary.Dictionary:
        if self._dictionary is None:
            folder = self.config.main.dictionary_dir
            self._dictionary = dictionary.load(read_dictionary_folder(folder) if folder else None)
        return self._dictionary
