"""The tree of a file into sections of the model, every mistake on the way reported with its line."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel, ValidationError

from authproxy.config.document import Entries, Node, Scalar, Style, locate
from authproxy.config.families import gathered
from authproxy.config.model.kinds import ALL_KINDS, REFUSED, SERVED, SINGLE, kind_of
from authproxy.config.model.section import Family, Finding, Section
from authproxy.config.problems import Problem, Report, suggestion
from authproxy.config.reading import Reading
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Placed:
    """A section and where its options stand."""

    section: Section
    entries: Entries


def read_sections(tree: Entries, reading: Reading, report: Report, *, cfg: bool) -> Mapping[str, Placed]:
    """The sections that could be read; what is wrong with the others is in the report."""
    return dict(_sections(tree, reading, report, cfg=cfg))


def _sections(tree: Entries, reading: Reading, report: Report, *, cfg: bool) -> Iterator[tuple[str, Placed]]:
    for name, written in tree.items():
        kind, line = kind_of(name), tree.lines[name]
        if kind not in ALL_KINDS:
            report.problem(line, name, "", f"unknown section{suggestion(kind, ALL_KINDS)}")
        elif kind in REFUSED:
            report.problem(line, name, "", REFUSED[kind])
        elif kind in SINGLE and name != kind:
            report.problem(line, name, "", f"there can be only one section {kind}, without a number")
        elif not isinstance(written := _options(written), Entries):
            report.problem(line, name, "", "options are expected below it: a name, a colon, a value")
        else:
            entries = _prepared(name, SERVED[kind], written, report, cfg=cfg)
            entries.line = line
            if (section := _validated(name, SERVED[kind], entries, reading, report)) is not None:
                yield name, Placed(section, entries)


def _options(written: Node) -> Node:
    """A section's options; `main:` with nothing below it has none."""
    nothing = isinstance(written, Scalar) and written.style is Style.PLAIN and not written.text
    return Entries(written.line) if nothing else written


def _prepared(name: str, kind: type[Section], written: Entries, report: Report, *, cfg: bool) -> Entries:
    """The options under the model's names; what is refused or ignored taken out, the syntax's defaults put in."""
    entries, flaws, notes = gathered(written, kind)
    for flaw in flaws:
        report.problem(flaw.line, name, ".".join(flaw.path), flaw.what)
    for note in notes:
        report.warning(note.line, name, ".".join(note.path), note.what)
    for option in [option for option in entries if option in kind.REFUSED]:
        report.problem(entries.lines[option], name, option, kind.REFUSED[option])
        del entries[option]
    for option in [option for option in entries if option in kind.IGNORED]:
        report.warning(entries.lines[option], name, option, f"has no effect: {kind.IGNORED[option]}")
        del entries[option]
    if cfg:
        for option, what in _suspicious(written):
            report.warning(written.lines[option], name, option, what)
        for option, value in kind.CFG_DEFAULTS.items():
            if option not in entries:
                entries.put(option, Scalar(value, entries.line, Style.CFG), entries.line)
                entries.assumed.add(option)
    return entries


def _suspicious(written: Entries) -> Iterator[tuple[str, str]]:
    """Values of a `.cfg` that look as if something else was meant; what stands there counts, to the letter."""
    for option, node in written.items():
        if not isinstance(node, Scalar):
            continue
        if re.search(r"\s[#;]", node.text):
            yield option, "contains a # or ; after a space: this isn't a comment here, but part of the value"
        if len(node.text) > 1 and node.text[0] == node.text[-1] and node.text[0] in "\"'":
            yield option, "is in quotes, which are part of the value"


def _validated(
    name: str, kind: type[Section], entries: Entries, reading: Reading, report: Report
) -> Section | None:
    try:
        section = kind.model_validate(entries, context=reading)
    except ValidationError as invalid:
        _translate(name, kind, entries, invalid, report)
        return None
    report.problems.extend(placed(report.file, name, entries, section.faults()))
    report.warnings.extend(placed(report.file, name, entries, section.risks()))
    report.warnings.extend(
        placed(report.file, name, entries, section.assumptions(frozenset(entries.assumed)))
    )
    return section


def placed(file: str, name: str, entries: Entries, findings: Iterable[Finding]) -> Iterator[Problem]:
    """What was found about a section's options, each at its option's line."""
    for finding in findings:
        mark = locate(entries, finding.location)
        yield Problem(file, mark.line, name, mark.path, finding.what)


def _translate(
    name: str, kind: type[Section], entries: Entries, invalid: ValidationError, report: Report
) -> None:
    for error in invalid.errors(include_url=False, include_input=False):
        location = error["loc"]
        mark = locate(entries, location)
        match error["type"]:
            case "missing":
                what = "missing"
            case "extra_forbidden":
                what = _unknown(kind, location)
            case _:
                what = error["msg"]
        report.problem(mark.line, name, mark.path, what)


def _unknown(kind: type[Section], location: tuple[int | str, ...]) -> str:
    option = str(location[-1])
    known = known_options(kind) if len(location) == 1 else list(_nested(kind, str(location[0])).model_fields)
    return _offline(option) or f"unknown option{suggestion(option, known)}"


def known_options(kind: type[Section]) -> list[str]:
    """All names that a section may use, first members of families included."""
    stems: list[str] = []
    for family in kind.FAMILIES:
        stems += [family.stem] if isinstance(family, Family) else list(family.stems)
    return [*kind.model_fields, *kind.ALIASES, *kind.IGNORED, *(f"{stem}_1" for stem in stems)]


def _nested(kind: type[BaseModel], option: str) -> type[BaseModel]:
    """The model of a list's items."""
    found = [kind.model_fields[option].annotation]
    while found:
        annotation = found.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        found.extend(typing.get_args(annotation))
    return kind


def _offline(option: str) -> str:
    if "offline" not in option.lower():
        return ""
    return "there is no offline mode: this proxy never checks a second factor by itself. For outages see failmode"
