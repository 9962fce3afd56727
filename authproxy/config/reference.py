"""The option reference (docs/options.md), made from the model that reads the options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from authproxy.config.fields import default_of, is_secret, item_model, item_reads, ranked, reads
from authproxy.config.model.kinds import REFUSED, SERVED, SINGLE
from authproxy.config.model.section import Family, GroupFamily, Section
from authproxy.config.secret_sources import SOURCES

_HEAD = """\
<!-- Made by `authproxy schema --option-reference > docs/options.md`. Change authproxy/config/model/, not this file. -->

# Every option

A configuration is sections of options. Its name says the syntax: `.yaml` or `.yml`, or `.cfg` or `.ini`, which is the
existing product's. Both are read into one model, and the tables below are that model. `conf/reference.yaml` has every
option in its place.

* **Strict.** An unknown section or option, a value of another kind, a number left out in `radius_ip_1`,
  `radius_ip_2`, …: all such problems are told at once, each with its line, and nothing starts. `authproxy check`
  tells them and never starts anything; it also warns of what works but is risky.
* **Sections** of one kind are told apart by digits: `radius_server_auto`, `radius_server_auto2`.
* **Lists** may be written as numbered options instead, in both syntaxes: `host`, `host_2`; `radius_ip_1` with
  `radius_secret_1` for an entry of `clients`; `exempt_username_1`.
* **File names** start from the configuration's folder.
* **YAML** is read as its safe part: no tags, anchors, aliases, no second document. Text that YAML may take for
  something else (`no`, `0123`, `1e5`, `2024-01-01`) has to be in quotes, and is told of rather than changed.
* **`.cfg`**: one `name=value` a line. `#` and `;` are comments at the start of a line and part of the value
  elsewhere; `%` is a percent sign; white space around a value goes. Names don't mind their case.

## Secrets

A secret is text in quotes, or says where it is:

| written | from |
|---|---|
"""

_AFTER_SOURCES = """
In a `.cfg` a secret is the rest of its line; `skey_protected`, `service_account_password_protected` and
`radius_secret_protected_1` hold what `authproxy secret protect` printed behind `protected:`. Such a secret opens
with the key in `main.state_dir` on the machine where it was sealed, or with the systemd credential
`authproxy-secret-key`; copied to another machine it is refused.

## Who may read and write the files

The configuration, each file that it names and `main.state_dir` are looked at when it is read. When others can
write one (or a folder it is in), nothing starts; when others can read one that holds a secret, `check` and the log
warn. `main.file_permissions` makes that stricter or laxer. A group that is the owner's alone counts as the owner; a
folder that others can't enter protects what is in it.

"""


def option_reference() -> str:
    """The whole document."""
    parts = [_HEAD]
    parts += [f'| `{{{source}: "…"}}` | {meaning} |\n' for source, meaning in SOURCES.items()]
    parts.append(_AFTER_SOURCES)
    parts += [line + "\n" for name, kind in SERVED.items() for line in _section(name, kind)]
    parts += [line + "\n" for line in _others()]
    return "".join(parts)


def _section(name: str, kind: type[Section]) -> Iterator[str]:
    yield f"## `{name}`"
    yield ""
    yield _summary(kind) + ("" if name in SINGLE else f" More of them: `{name}2`, `{name}3`, …")
    yield ""
    yield from _table(kind)
    yield ""
    for option, field in kind.model_fields.items():
        if (items := item_model(field)) is not None:
            yield f"### An entry of `{option}`"
            yield ""
            yield _summary(items)
            yield ""
            yield from _table(items)
            yield ""
    notes = list(_notes(kind))
    yield from notes
    if notes:
        yield ""


def _summary(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split())


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| option | written as | default | meaning |"
    yield "|---|---|---|---|"
    for option, field in ranked(model):
        default = default_of(field)
        shown = "**required**" if field.is_required() else f"`{default}`" if default else ""
        yield f"| `{option}` | {_cell(_written(field))} | {shown} | {_cell(field.description or '')} |"


def _written(field: FieldInfo) -> str:
    if is_secret(field):
        return "a [secret](#secrets)"
    how = reads(field)
    if how.schema or item_model(field) is not None:
        return how.written
    return f"{how.written}: {item_reads(field).written}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _notes(kind: type[Section]) -> Iterator[str]:
    for alias, option in kind.ALIASES.items():
        yield f"* `{alias}` is another name of `{option}`."
    for family in kind.FAMILIES:
        yield f"* `{family.option}` may be numbered: {', '.join(f'`{name}`' for name in _first_names(family))}, …"
    for option, value in kind.CFG_DEFAULTS.items():
        if value != default_of(kind.model_fields[option]):
            yield f"* `{option}` not given in a `.cfg` means `{value}`, as its users expect; `authproxy check` warns."
    for option, why in kind.IGNORED.items():
        yield f"* `{option}` is known and does nothing: {why}."
    for option, why in kind.REFUSED.items():
        yield f"* `{option}` is known and refused: {why}."


def _first_names(family: Family | GroupFamily) -> list[str]:
    if isinstance(family, GroupFamily):
        return [f"{stem}_1" for stem in family.stems]
    return [family.stem if family.bare else f"{family.stem}_1", f"{family.stem}_2"]


def _others() -> Iterator[str]:
    yield "## Known sections that are refused"
    yield ""
    yield "| section | why |"
    yield "|---|---|"
    for name, why in REFUSED.items():
        yield f"| `{name}` | {_cell(why)} |"
    yield ""
    yield "There is no offline mode, so any option that asks for offline access is refused: authproxy never checks"
    yield "a second factor by itself. What an outage of the cloud does is each section's `failmode`."
