"""Turns numbered families (`host_2`, `radius_ip_1` and `radius_secret_1`, …) into the lists that they mean."""

from __future__ import annotations

import re
from collections.abc import Collection

from authproxy.config.document import Entries, Flaw, Items, Node, Scalar, Style
from authproxy.config.model.section import Family, GroupFamily, Section
from authproxy.config.sealing import is_sealed

# `radius_secret_protected_1`, but `skey_protected`: the number is last.
_PROTECTED = re.compile(r"(.+)_protected(_\d+)?")


def gathered(section: Entries, kind: type[Section]) -> tuple[Entries, list[Flaw], list[Flaw]]:
    """The section with lists, aliases and protected secrets under the model's names; its flaws; and
    what to warn about.
    """
    flaws: list[Flaw] = []
    notes: list[Flaw] = []
    entries = _renamed(section, kind, flaws, notes)
    for family in kind.FAMILIES:
        match family:
            case Family():
                entries = _gather(_completed(entries, family, notes), family, flaws)
            case GroupFamily():
                entries = _gather_groups(entries, family, flaws)
    return entries, flaws, notes


def _copy(section: Entries, without: set[str] | frozenset[str] = frozenset()) -> Entries:
    copy = Entries(section.line)
    for key, node in section.items():
        if key not in without:
            copy.put(key, node, section.lines[key], section.written.get(key, ""))
            copy.comments[key] = section.comments.get(key, ())
    return copy


def _renamed(section: Entries, kind: type[Section], flaws: list[Flaw], notes: list[Flaw]) -> Entries:
    renamed = Entries(section.line)
    superseded = _superseded(section, notes)
    for key, node in section.items():
        if key in superseded:
            continue
        line, name, value = section.lines[key], kind.ALIASES.get(key, key), node
        if (plain := _plain_name(key)) is not None:
            name, value = plain, Entries(line)
            value.put("protected", node, line)
        if name in renamed:
            flaws.append(
                Flaw(line, (key,), f"{renamed.written.get(name, name)} is the same option; keep one")
            )
        else:
            renamed.put(name, value, line, key if key != name else "")
            renamed.comments[name] = section.comments.get(key, ())
    return renamed


def _plain_name(key: str) -> str | None:
    found = _PROTECTED.fullmatch(key)
    return found[1] + (found[2] or "") if found else None


def _superseded(section: Entries, notes: list[Flaw]) -> set[str]:
    """Of a secret that a `.cfg` has both plain and protected, the one that doesn't count.

    The existing product takes the protected one where it can open it, and the plain one elsewhere; so do we.
    """
    superseded = set()
    for key, node in section.items():
        plain = _plain_name(key)
        if plain in section and plain is not None and isinstance(node, Scalar) and node.style is Style.CFG:
            used, unused = (key, plain) if is_sealed(node.text) else (plain, key)
            superseded.add(unused)
            notes.append(Flaw(section.lines[unused], (unused,), f"ignored: {used} is there too"))
    return superseded


def _numbers(section: Entries, stem: str) -> dict[int, str]:
    """Number to key, of the members of a family that are there, in their order."""
    found = {}
    for key in section:
        if match := re.fullmatch(rf"{stem}_([1-9]\d{{0,3}})", key):
            found[int(match[1])] = key
    return dict(sorted(found.items()))


def _gap(numbers: Collection[int], stem: str) -> str:
    missing = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
    return "" if missing > len(numbers) else f"{stem}_{missing} is missing before it; number without a gap"


def _completed(section: Entries, family: Family, notes: list[Flaw]) -> Entries:
    """With the members that a `.cfg` leaves to their default, where each item of another list has one of its own."""
    written = {number: section[key] for number, key in _numbers(section, family.stem).items()}
    if family.stem in section:
        written.setdefault(1, section[family.stem])
    if not family.each or not any(
        isinstance(node, Scalar) and node.style is Style.CFG for node in written.values()
    ):
        return section
    others, copy = section.get(family.each), _copy(section)
    for number in range(1, max(len(others) if isinstance(others, Items) else 1, *written) + 1):
        if number not in written:
            key = family.stem if number == 1 else f"{family.stem}_{number}"
            line = max(node.line for node in written.values())
            copy.put(key, Scalar(family.default, line, Style.CFG), line)
            notes.append(Flaw(line, (key,), f"not set, which means {family.default} in a .cfg"))
    return copy


def _gather(section: Entries, family: Family, flaws: list[Flaw]) -> Entries:
    numbered = _numbers(section, family.stem)
    alone = family.bare and family.stem != family.option and family.stem in section
    if not numbered and not alone:
        return section
    keys = list(numbered.values())
    first_of_all = section.get(family.stem) if family.bare else None
    if isinstance(first_of_all, Scalar):
        if 1 in numbered:
            flaws.append(
                Flaw(section.lines[numbered[1]], (numbered[1],), f"{family.stem} is the same; keep one")
            )
        numbered = {1: family.stem} | {number: key for number, key in numbered.items() if number != 1}
    elif family.option in section:
        what = f"{family.option} is also there as a list; add this to the list"
        flaws.append(Flaw(section.lines[keys[0]], (keys[0],), what))
        return _copy(section, set(keys))
    if gap := _gap(numbered, family.stem):
        flaws.append(Flaw(section.lines[keys[-1]], (keys[-1],), gap))
    members = list(numbered.values())
    line = section.lines[members[0]]
    copy = _copy(section, {*keys, *members})
    copy.put(family.option, Items([section[key] for key in members], line, members), line)
    copy.comments[family.option] = tuple(line for key in members for line in section.comments.get(key, ()))
    return copy


def _gather_groups(section: Entries, family: GroupFamily, flaws: list[Flaw]) -> Entries:
    members = {stem: _numbers(section, stem) for stem in family.stems}
    keys = {key for numbered in members.values() for key in numbered.values()}
    if not keys:
        return section
    line = min(section.lines[key] for key in keys)
    if family.option in section:
        first = min(keys, key=lambda key: section.lines[key])
        flaws.append(Flaw(line, (first,), f"{family.option} is also there as a list; add this to the list"))
        return _copy(section, keys)
    numbers = sorted({number for numbered in members.values() for number in numbered})
    if gap := _gap(frozenset(numbers), family.required[0]):
        last = next(numbered[numbers[-1]] for numbered in members.values() if numbers[-1] in numbered)
        flaws.append(Flaw(section.lines[last], (last,), gap))
    items: list[Node] = []
    for number in numbers:
        group = _group(section, family, members, number, flaws)
        if group is not None:
            items.append(group)
    copy = _copy(section, keys)
    copy.put(family.option, Items(items, line), line)
    return copy


def _group(
    section: Entries, family: GroupFamily, members: dict[str, dict[int, str]], number: int, flaws: list[Flaw]
) -> Entries | None:
    present = {stem: numbered[number] for stem, numbered in members.items() if number in numbered}
    any_key = next(iter(present.values()))
    missing = [stem for stem in family.required if stem not in present]
    for stem in missing:
        flaws.append(Flaw(section.lines[any_key], (f"{stem}_{number}",), f"missing: {any_key} needs it"))
    if missing:
        return None
    group = Entries(section.lines[any_key])
    for stem, key in present.items():
        group.put(family.stems[stem], section[key], section.lines[key], section.written.get(key, key))
        group.comments[family.stems[stem]] = section.comments.get(key, ())
    return group
