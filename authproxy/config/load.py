"""A file in, a Config out, or InvalidConfig with every problem. The one way in for all verbs and the daemon."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from authproxy.config.document import Entries, Flaw, Malformed, Scalar, Style, locate
from authproxy.config.families import gathered
from authproxy.config.model import Config, Main, Section, ServerSection
from authproxy.config.model.kinds import (
    ALL_KINDS,
    NOT_YET,
    NUMBERED,
    PRIMARIES,
    REFUSED,
    SERVED,
    SINGLE,
    kind_of,
)
from authproxy.config.model.section import Finding
from authproxy.config.problems import InvalidConfig, Problem, suggestion
from authproxy.config.reading import Reading, SecretUnavailable
from authproxy.config.yaml_syntax import read_yaml
from authproxy.secret import Secret

MOST_OCTETS = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without a mistake, what to warn of, and where each option stands."""

    path: Path
    config: Config
    warnings: tuple[Problem, ...]
    _places: Mapping[str, Entries] = field(default_factory=dict, repr=False)

    def problem(self, section: str, option: str, what: str) -> Problem:
        """A problem that shows only when the service is built, at the option's place."""
        mark = locate(self._places[section], (option,)) if section in self._places else None
        return Problem(str(self.path), mark.line if mark else 0, section, option, what)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read a configuration. Raises InvalidConfig."""
    return _Loader(path, environ).load()


class _Loader:
    """One file on its way into the model."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._file = str(path)
        self._cfg = path.suffix.lower() in (".cfg", ".ini")
        self._environ = environ
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self._places: dict[str, Entries] = {}
        self._reading = Reading(path.parent, environ, _no_key)

    def load(self) -> Loaded:
        tree = self._tree(_text(self._path))
        sections = dict(self._sections(tree))
        main = sections.pop("main", None)
        if not isinstance(main, Main):
            main = Main()
        main = self._placed(main)
        served = {name: self._settled(name, section, main, tree) for name, section in sections.items()}
        if not any(isinstance(section, ServerSection) for section in served.values()) and not self._problems:
            self._problem(0, "", "", "no server section, such as radius_server_auto: nothing to run")
        if self._problems:
            raise InvalidConfig(self._problems)
        config = Config(main, MappingProxyType(served))
        return Loaded(self._path, config, tuple(sorted(self._warnings)), self._places)

    def _problem(self, line: int, section: str, option: str, what: str) -> None:
        self._problems.append(Problem(self._file, line, section, option, what))

    def _tree(self, text: str) -> Entries:
        try:
            tree, flaws = read_yaml(text)
        except Malformed as malformed:
            raise InvalidConfig([_problem_of(self._file, malformed.flaw)]) from None
        self._problems.extend(_problem_of(self._file, flaw) for flaw in flaws)
        return tree

    def _sections(self, tree: Entries) -> Iterator[tuple[str, Section]]:
        for name, entries in tree.items():
            kind = kind_of(name)
            line = tree.lines[name]
            if kind in REFUSED:
                self._problem(line, name, "", REFUSED[kind])
            elif kind not in ALL_KINDS:
                self._problem(line, name, "", f"unknown section{suggestion(kind, ALL_KINDS)}")
            elif kind in SINGLE and name != kind:
                self._problem(line, name, "", f"there is one {kind} only")
            elif not isinstance(entries, Entries):
                self._problem(line, name, "", "options are expected below it, each a name, a colon, a value")
            elif kind in NOT_YET:
                self._not_yet(name, kind, entries)
            elif (section := self._section(name, SERVED[kind], entries)) is not None:
                yield name, section

    def _not_yet(self, name: str, kind: str, entries: Entries) -> None:
        self._problem(entries.line, name, "", f"this version does not serve {kind} yet")
        for option in entries:
            if option not in NOT_YET[kind] and option.rstrip("0123456789").rstrip("_") not in NUMBERED:
                known = f"unknown option{suggestion(option, NOT_YET[kind])}"
                self._problem(entries.lines[option], name, option, _offline(option) or known)

    def _section(self, name: str, kind: type[Section], written: Entries) -> Section | None:
        entries, flaws = gathered(written, kind)
        for flaw in flaws:
            self._problem(flaw.line, name, ".".join(flaw.path), flaw.what)
        for option in [option for option in entries if option in kind.REFUSED or option in kind.IGNORED]:
            line = entries.lines[option]
            if option in kind.REFUSED:
                self._problem(line, name, option, kind.REFUSED[option])
            else:
                self._warnings.append(
                    Problem(self._file, line, name, option, f"does nothing: {kind.IGNORED[option]}")
                )
            del entries[option]
        if self._cfg:
            for option, value in kind.CFG_DEFAULTS.items():
                if option not in entries:
                    entries[option] = Scalar(value, entries.line, Style.CFG)
                    entries.lines[option] = entries.line
        self._places[name] = entries
        try:
            section = kind.model_validate(entries, context=self._reading)
        except ValidationError as invalid:
            self._translate(name, kind, entries, invalid)
            return None
        self._found(name, entries, section.faults(), self._problems)
        self._found(name, entries, section.risks(), self._warnings)
        return section

    def _found(self, name: str, entries: Entries, findings: Iterable[Finding], into: list[Problem]) -> None:
        for finding in findings:
            option = finding.option if isinstance(finding.option, tuple) else (finding.option,)
            mark = locate(entries, option)
            into.append(Problem(self._file, mark.line, name, mark.path, finding.what))

    def _translate(self, name: str, kind: type[Section], entries: Entries, invalid: ValidationError) -> None:
        for error in invalid.errors(include_url=False, include_input=False):
            location = error["loc"]
            mark = locate(entries, location)
            match error["type"]:
                case "missing":
                    what = "missing"
                case "extra_forbidden":
                    what = _unknown(str(location[-1]), kind, location)
                case _:
                    what = error["msg"]
            self._problem(mark.line, name, mark.path, what)

    def _placed(self, main: Main) -> Main:
        """With the folders that were not given."""
        state_dir = main.state_dir or default_state_dir(self._environ)
        log_dir = main.log_dir or _default_log_dir(self._environ, state_dir)
        return main.model_copy(update={"state_dir": state_dir, "log_dir": log_dir})

    def _settled(self, name: str, section: Section, main: Main, tree: Entries) -> Section:
        if not isinstance(section, ServerSection):
            return section
        primaries = [name for name in tree if kind_of(name) in PRIMARIES]
        client = section.client or main.client or (primaries[0] if len(primaries) == 1 else "")
        if not client:
            many = f"several sections could be its client ({', '.join(primaries)}): name one"
            self._problem(
                self._places[name].line, name, "client", many if primaries else "missing: no client section"
            )
        elif client not in primaries:
            mark = locate(self._places[name], ("client",))
            self._problem(
                mark.line,
                name,
                "client",
                f"there is no client section {client}{suggestion(client, primaries)}",
            )
        return section.settled(name, main).model_copy(update={"client": client})


def _offline(option: str) -> str:
    if "offline" not in option:
        return ""
    return "there is no offline mode: this proxy never checks a second factor by itself; see failmode for outages"


def _unknown(option: str, kind: type[Section], location: tuple[int | str, ...]) -> str:
    known = list(kind.model_fields)
    if len(location) > 1:
        known = ["name", "ip", "secret", "require_message_authenticator", "omit_message_authenticator"]
    return _offline(option) or f"unknown option{suggestion(option, known)}"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(MOST_OCTETS + 1)
    except OSError as error:
        raise InvalidConfig([Problem(str(path), 0, "", "", error.strerror or "unreadable")]) from None
    if len(octets) > MOST_OCTETS:
        raise InvalidConfig(
            [Problem(str(path), 0, "", "", f"over {MOST_OCTETS} octets, hardly a configuration")]
        )
    return octets.decode("utf-8-sig")


def _problem_of(file: str, flaw: Flaw) -> Problem:
    section, *option = flaw.path or ("",)
    return Problem(file, flaw.line, section, ".".join(option).replace(".[", "["), flaw.what)


def _no_key(sealed: str) -> Secret:
    raise SecretUnavailable("sealed secrets are not opened yet")


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """What lasts over a restart: systemd's folder, else the system's for root, else the user's own."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/authproxy")
    home = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "/")) / ".local" / "state"
    return Path(home) / "authproxy"


def _default_log_dir(environ: Mapping[str, str], state_dir: Path) -> Path:
    if given := environ.get("LOGS_DIRECTORY"):
        return Path(given.split(":")[0])
    return Path("/var/log/authproxy") if os.geteuid() == 0 else state_dir / "log"
