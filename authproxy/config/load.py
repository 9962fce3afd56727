"""Reads a file into a Config, or raises InvalidConfig with every problem; used by all commands and the daemon."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType

from authproxy.config.document import Entries, Items, Node, Scalar, locate
from authproxy.config.folders import default_log_dir, default_state_dir, log_folder_of, state_dir_of
from authproxy.config.model import Config, FilePermissions, HttpProxy, Main, Section, ServerSection
from authproxy.config.model.kinds import SERVED, kind_of
from authproxy.config.model.section import Between, Finding
from authproxy.config.permissions import Exposure, exposures, state_exposures
from authproxy.config.problems import InvalidConfig, Problem, Report
from authproxy.config.reading import Reading
from authproxy.config.rules import (
    client_of,
    faults_between,
    no_client,
    risks_between,
    server_of,
    shared_by_nobody,
)
from authproxy.config.sealing import Unsealer
from authproxy.config.sections import Placed, placed, read_sections
from authproxy.config.source import is_cfg, read_text, read_tree
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, its warnings, and where each option is."""

    path: Path
    config: Config
    warnings: tuple[Problem, ...]
    places: Mapping[str, Entries] = field(default_factory=dict, repr=False)

    def problem(self, section: str, option: str | tuple[str | int, ...], what: str) -> Problem:
        """A problem that only building shows, with the option's line."""
        location = Finding(option, what).location
        if section not in self.places:
            return Problem(str(self.path), 0, section, ".".join(map(str, location)), what)
        mark = locate(self.places[section], location)
        return Problem(str(self.path), mark.line, section, mark.path, what)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read a configuration. Raises InvalidConfig."""
    text = read_text(path)
    return load_text(text, path, environ)


def load_text(
    text: str, path: Path, environ: Mapping[str, str] = os.environ, *, touch: bool = True
) -> Loaded:
    """Like `load`, for the text of a file at `path`. Without `touch`, no other file and no sealed secret is opened."""
    report = Report(str(path))
    return load_tree(read_tree(text, path, report), path, environ, report, touch=touch)


def load_tree(
    tree: Entries, path: Path, environ: Mapping[str, str], report: Report, *, touch: bool
) -> Loaded:
    """The part of loading after the syntax. Raises InvalidConfig with everything in the report."""
    reading = _reading(path, tree, environ, touch=touch)
    sections = read_sections(tree, reading, report, cfg=is_cfg(path))
    main = _main(sections, tree, environ)
    settled = _settled(sections, tree, main, report)
    _between(main, settled, sections, report)
    if touch:
        _permissions(main, path, reading, tree, report)
    if report.problems:
        raise InvalidConfig(report.problems)
    places = {name: section.entries for name, section in sections.items()}
    config = Config(main, MappingProxyType(settled))
    return Loaded(path, config, tuple(sorted(set(report.warnings))), places)


def _reading(path: Path, tree: Entries, environ: Mapping[str, str], *, touch: bool) -> Reading:
    folder = path.absolute().parent
    unseal = Unsealer(state_dir_of(tree, folder, environ), environ)
    return Reading(folder, log_folder_of(path), environ, unseal, touch)


def _main(sections: Mapping[str, Placed], tree: Entries, environ: Mapping[str, str]) -> Main:
    """With the folders that were not given."""
    found = sections.get("main")
    main = found.section if found is not None and isinstance(found.section, Main) else _unread(tree)
    given = main.model_fields_set
    state_dir = main.state_dir if "state_dir" in given else default_state_dir(environ)
    log_dir = main.log_dir if "log_dir" in given else default_log_dir(environ, state_dir)
    return main.model_copy(update={"state_dir": state_dir, "log_dir": log_dir})


def _unread(tree: Entries) -> Main:
    """In place of one with mistakes: what else would make a mistake of all other sections."""
    written = tree.get("main")
    client = written.get("client") if isinstance(written, Entries) else None
    return Main(client=client.text) if isinstance(client, Scalar) and client.text else Main()


def _settled(sections: Mapping[str, Placed], tree: Entries, main: Main, report: Report) -> dict[str, Section]:
    """The sections but main, each with its client and with what it inherits."""
    settled: dict[str, Section] = {}
    for name, found in sections.items():
        match found.section:
            case Main():
                continue
            case ServerSection() as server:
                client = client_of(server, main, tree)
                if isinstance(client, Finding):
                    report.problems.extend(placed(report.file, name, found.entries, [client]))
                    client = ""
                settled[name] = server.settled(name, main).model_copy(update={"client": client})
            case HttpProxy() as way_out:
                settled[name] = way_out.settled(name, main)
            case section:
                settled[name] = section
    report.problems.extend(_clients_of_unread(sections, tree, report.file))
    if "main" in sections:
        report.problems.extend(placed(report.file, "main", sections["main"].entries, server_of(main, tree)))
    if not report.problems and not any(
        isinstance(section, ServerSection | HttpProxy) for section in settled.values()
    ):
        report.problem(
            0, "", "", "there is no server section, such as radius_server_auto, so there is nothing to run"
        )
    return settled


def _clients_of_unread(sections: Mapping[str, Placed], tree: Entries, file: str) -> Iterator[Problem]:
    """In server sections with other mistakes: all are told at once."""
    for name, written in tree.items():
        is_server = issubclass(SERVED.get(kind_of(name), Section), ServerSection)
        if name in sections or not is_server or not isinstance(written, Entries):
            continue
        named = written.get("client")
        if isinstance(named, Scalar) and named.text and (missing := no_client(named.text, tree)):
            yield from placed(file, name, written, [missing])


def _between(
    main: Main, settled: Mapping[str, Section], sections: Mapping[str, Placed], report: Report
) -> None:
    def at_places(found: Iterable[Between]) -> Iterator[Problem]:
        for name, finding in found:
            yield from placed(report.file, name, sections[name].entries, [finding])

    report.problems.extend(at_places(faults_between(settled)))
    report.problems.extend(at_places(shared_by_nobody(main, settled)))
    report.warnings.extend(at_places(risks_between(main, settled)))


def _permissions(main: Main, path: Path, reading: Reading, tree: Entries, report: Report) -> None:
    """S4, of the configuration, of each file that it names, and of the state."""
    plain = any(seen.path is None for seen in reading.seen)
    for exposed in exposures(path, secret=plain):
        hint = " (it holds secrets)" if exposed.exposure is Exposure.READABLE else ""
        _exposed(main, exposed.exposure, report, Problem(report.file, 0, "", "", exposed.what + hint))
    places = dict(_places(tree))
    for seen in reading.seen:
        if seen.path is not None:
            section, option = places.get(id(seen.node), ("", ""))
            for exposed in exposures(seen.path, secret=seen.secret):
                problem = Problem(report.file, seen.node.line, section, option, exposed.what)
                _exposed(main, exposed.exposure, report, problem)
    options = tree.get("main")
    line = options.lines.get("state_dir", 0) if isinstance(options, Entries) else 0
    for exposed in state_exposures(main.state_dir):
        problem = Problem(report.file, line, "main", "state_dir", exposed.what)
        _exposed(main, exposed.exposure, report, problem)


def _exposed(main: Main, exposure: Exposure, report: Report, problem: Problem) -> None:
    refused = main.file_permissions is FilePermissions.STRICT or (
        main.file_permissions is FilePermissions.NORMAL and exposure is Exposure.WRITABLE
    )
    (report.problems if refused else report.warnings).append(problem)


def _places(tree: Entries) -> Iterator[tuple[int, tuple[str, str]]]:
    """Each node of the tree, by identity: its section and option."""
    for name, section in tree.items():
        for option, value in section.items() if isinstance(section, Entries) else ():
            yield from ((id(node), (name, option)) for node in _nodes(value))


def _nodes(value: Node) -> Iterator[Node]:
    yield value
    inner: Iterable[Node] = ()
    if isinstance(value, Items | Entries):
        inner = value.values() if isinstance(value, Entries) else value
    for node in inner:
        yield from _nodes(node)
