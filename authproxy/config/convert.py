"""Converts an existing `.cfg` to YAML with the same meaning, and says what its administrator should know."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from authproxy import __version__
from authproxy.config.document import Entries, Items, Scalar
from authproxy.config.emit import emit
from authproxy.config.folders import log_folder_of
from authproxy.config.load import load_text, load_tree
from authproxy.config.model import (
    AdClient,
    Config,
    LdapServerAuto,
    RadiusServer,
    RadiusServerAuto,
    RadiusServerEap,
    ServerSection,
)
from authproxy.config.model.kinds import REFUSED, SERVED, kind_of
from authproxy.config.problems import InvalidConfig, Problem, Report
from authproxy.config.source import is_cfg, read_text, read_tree
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Converted:
    """`yaml` contains the file's secrets; the other texts never do."""

    yaml: str
    changed: tuple[str, ...]  # what is written otherwise and means the same
    differs: tuple[str, ...]  # what this proxy does otherwise
    risky: tuple[Problem, ...]
    unsupported: tuple[str, ...]


def convert(path: Path, folder: Path) -> Converted:
    """Convert a file; the YAML will be in `folder`. Raises InvalidConfig: nothing is guessed."""
    if not is_cfg(path):
        raise InvalidConfig(
            [Problem(str(path), 0, "", "", "not a .cfg or .ini file, so there is nothing to convert")]
        )
    report = Report(str(path))
    tree = read_tree(read_text(path), path, report)
    unsupported = tuple(_take_out(tree))
    ignored = tuple(_take_out_options(tree, refused=False))
    loaded = load_tree(tree, path, {}, report, touch=False)
    paths = _Paths(path, folder)
    yaml = _heading(path, unsupported) + emit(loaded.places.items(), tree.comments, paths)
    again = load_text(yaml, folder / "authproxy.yaml", {}, touch=False)
    if _comparable(again.config) != _comparable(loaded.config):
        raise AssertionError("the YAML doesn't mean the same")
    changed = [change for name, entries in loaded.places.items() for change in _changes(name, entries)]
    differs = tuple(_differences(loaded.config))
    return Converted(yaml, (*ignored, *changed, *paths.changes), differs, loaded.warnings, unsupported)


# ---- what can't come along


def _take_out(tree: Entries) -> tuple[str, ...]:
    """Sections and options that this version doesn't serve, out of the tree; each with the reason."""
    gone = {name: REFUSED[kind_of(name)] for name in tree if kind_of(name) in REFUSED}
    for name in gone:
        del tree[name]
    reasons = [f"{name}: {why}" for name, why in gone.items()]
    return (*reasons, *_take_out_options(tree, refused=True))


def _take_out_options(tree: Entries, *, refused: bool) -> Iterator[str]:
    for name, section in tree.items():
        kind = SERVED.get(kind_of(name))
        if kind is None or not isinstance(section, Entries):
            continue
        reasons: Mapping[str, str] = kind.REFUSED if refused else kind.IGNORED
        for option in [option for option in section if option in reasons]:
            del section[option]
            yield f"{name}.{option}: {reasons[option]}"


# ---- what is said about the rest


def _changes(name: str, entries: Entries) -> Iterator[str]:
    for option, node in entries.items():
        if option in entries.assumed and isinstance(node, Scalar):
            yield f"{name}.{option}: was not set, which means {node.text}; written out"
        if (written := entries.written.get(option)) is not None:
            yield f"{name}.{written}: is now called {option}"
        if isinstance(node, Items) and (family := _family(node)):
            yield f"{name}.{option}: from {family}"


def _family(items: Items) -> str:
    names = list(items.written)
    for item in items:
        names += item.written.values() if isinstance(item, Entries) else ()
    return f"{names[0]} to {names[-1]}" if len(names) > 3 else ", ".join(names)


def _differences(config: Config) -> Iterator[str]:
    yield "certificates are verified with the system's CA store, unless an option names a file"
    if config.all(ServerSection):
        yield (
            "failmode safe lets users in on a password alone only in an outage: never after a wrong "
            "certificate, a refused call or a broken answer"
        )
        yield (
            "api_timeout limits each request to the cloud, not the wait for the user; 0 means 10 "
            "seconds for the first request"
        )
        yield (
            "a user gets one prompt at a time, and after three prompts that weren't approved none for a while"
        )
    servers = config.all(RadiusServer)
    appending = RadiusServerAuto, RadiusServerEap, LdapServerAuto
    tried = [
        name for name, each in config.sections.items() if isinstance(each, appending) and each.allow_concat
    ]
    if tried:
        yield (
            f"{', '.join(tried)}: a password is tried once; a factor behind it is recognised by its form, not by "
            "a second attempt"
        )
    if servers:
        yield (
            f"{', '.join(servers)}: the user's address is sent to the cloud only if the request has a "
            "Message-Authenticator"
        )
    if exempting := [name for name, section in servers.items() if section.exempt_usernames]:
        yield (
            f"{', '.join(exempting)}: exempt users are compared with the name in the directory, ignoring "
            "capital letters"
        )
    for name, directory in config.all(AdClient).items():
        yield (
            f"{name}: after {directory.failures_per_user} wrong passwords of a user, none are tried "
            "for a while"
        )
        if directory.security_group_dn:
            yield f"{name}: members of groups inside the security group count too"


def _heading(path: Path, unsupported: tuple[str, ...]) -> str:
    lines = [f"# Converted from {path.name} by authproxy {__version__}."]
    lines += [f"# Left out: {reason}" for reason in unsupported]
    return "\n".join(lines) + "\n\n"


class _Paths:
    """File names as they are from the new file's folder."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._from = path.parent.absolute()
        self._logs_from = log_folder_of(path)
        self._to = folder.absolute()
        self.changes: list[str] = []

    def __call__(self, option: str, text: str) -> str:
        if text.startswith("/"):
            return text
        base = self._logs_from if option == "log_dir" else self._from
        moved = os.path.relpath(base / text, self._to)
        if moved != os.path.normpath(text):
            self.changes.append(f"{option}: {text} is written as {moved}, as seen from the new file")
            return moved
        return text


def _comparable(config: Config) -> Mapping[str, Any]:
    return {name: _values(section) for name, section in {"main": config.main, **config.sections}.items()}


def _values(model: BaseModel) -> Mapping[str, Any]:
    return {option: _normal(value) for option, value in model}


def _normal(value: object) -> object:
    match value:
        case Path():
            return os.path.abspath(value)
        case tuple():
            return tuple(_normal(item) for item in value)
        case BaseModel():
            return _values(value)
        case _:
            return value
