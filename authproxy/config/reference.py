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

A configuration consists of sections, and a section of options. The file's name says its syntax: `.yaml` or `.yml`, or
`.cfg` or `.ini` for the syntax of an existing `authproxy.cfg`. The options below are the same in both.
`conf/reference.yaml` shows every option in its place.

* **Strict.** If there is an unknown section or option, a value of the wrong type, or a gap in numbered options
  (`radius_ip_1`, `radius_ip_3`), nothing starts. All such problems are reported at once, each with its line.
  `authproxy check` reports them without starting anything, and also warns about what works but is risky.
* **Several sections** of one kind have digits behind the name: `radius_server_auto`, `radius_server_auto2`.
* **Lists** can also be written as numbered options, in both syntaxes: `host`, `host_2`; `radius_ip_1` with
  `radius_secret_1` for an entry of `clients`; `exempt_username_1`.
* **File names** are relative to the configuration's folder.
* **YAML**: tags, anchors, aliases and a second document are not allowed. Text that YAML may take for something else
  (`no`, `0123`, `1e5`, `2024-01-01`) has to be in quotes; without them it is reported as a problem.
* **`.cfg`**: one `name=value` per line. `#` and `;` begin a comment at the start of a line; elsewhere they are part of
  the value. `%` is a percent sign. White space around a value is removed. Capital letters in names don't matter.

## Secrets

A secret is either text in quotes, or one of these:

| written | where the secret is |
|---|---|
"""

_AFTER_SOURCES = """
In a `.cfg`, a secret is the rest of its line. `skey_protected`, `service_account_password_protected` and
`radius_secret_protected_1` hold what `authproxy secret protect` printed after `protected:`. Such a secret can be
decrypted only with the key in `main.state_dir` on the machine where it was encrypted, or with the systemd credential
`authproxy-secret-key`. On another machine it is refused.

## Who may read and write the files

When the configuration is read, authproxy checks the permissions of the configuration, of each file that it names, and
of `main.state_dir`. If other users can write one of them (or a folder that it is in), nothing starts. If other users
can read one that holds a secret, `check` and the log warn. `main.file_permissions` makes this stricter or less strict.
A group whose only member is the owner counts as the owner. Files in a folder that others can't enter are protected.

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
    yield _summary(kind) + ("" if name in SINGLE else f" Further sections: `{name}2`, `{name}3`, …")
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
        yield f"* `{alias}` is another name for `{option}`."
    for family in kind.FAMILIES:
        numbered = ", ".join(f"`{name}`" for name in _first_names(family))
        yield f"* `{family.option}` can be written as numbered options: {numbered}, …"
    for option, value in kind.CFG_DEFAULTS.items():
        if value != default_of(kind.model_fields[option]):
            yield f"* If `{option}` is not set in a `.cfg`, it means `{value}`, as in existing files."
    for option, why in kind.IGNORED.items():
        yield f"* `{option}` is accepted and has no effect: {why}."
    for option, why in kind.REFUSED.items():
        yield f"* `{option}` is refused: {why}."


def _first_names(family: Family | GroupFamily) -> list[str]:
    if isinstance(family, GroupFamily):
        return [f"{stem}_1" for stem in family.stems]
    return [family.stem if family.bare else f"{family.stem}_1", f"{family.stem}_2"]


def _others() -> Iterator[str]:
    yield "## Sections of existing files that are refused"
    yield ""
    yield "| section | why |"
    yield "|---|---|"
    for name, why in REFUSED.items():
        yield f"| `{name}` | {_cell(why)} |"
    yield ""
    yield "There is no offline mode: authproxy never checks a second factor by itself. Any option that asks for offline"
    yield "access is refused. Each section's `failmode` says what happens in an outage of the cloud."
