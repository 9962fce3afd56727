"""`attributes`: what an Accept carries, by the user's groups and name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from authproxy.config.document import Scalar, Style
from authproxy.config.model.section import Finding, GroupFamily, Options
from authproxy.config.options.directory import DnOption
from authproxy.config.options.reads import Reads, one_or_more, wrong
from authproxy.config.options.simple import Text
from authproxy.config.options.users import UserName
from authproxy.config.reading import Reading
from authproxy.pipeline.username import canonical
from authproxy.protocols.radius.settings import MalformedSetting, read_setting, split_settings


def _setting(text: str) -> str:
    try:
        read_setting(text)
    except MalformedSetting as malformed:
        wrong(str(malformed))
    return text


def settings_of(node: object) -> tuple[Any, ...]:
    """Like one_or_more; in a .cfg, the parts of the line between commas outside quotes."""
    if isinstance(node, Scalar) and node.style is Style.CFG:
        return tuple(Scalar(part, node.line, Style.CFG) for part in split_settings(node.text))
    return one_or_more(node)


def _read_settings(node: object, _: Reading) -> tuple[Any, ...]:
    return settings_of(node)


Settings = Annotated[
    tuple[Annotated[Text, AfterValidator(_setting)], ...],
    Reads(_read_settings, "`NAME = VALUE`, a list (in a .cfg, separated by commas)", items=settings_of),
]


class AttributesFrom(StrEnum):
    FIRST = "first"
    ALL = "all"


class AttributeRule(Options):
    """Attributes for the members of a group, for one user, or (with neither) for users whom no other entry matches."""

    group: DnOption | None = Field(
        default=None,
        examples=["CN=VPN-Admins,OU=Groups,DC=corp,DC=example"],
        description="Applies to members of this group in the directory. Nested groups count.",
    )
    user: UserName | None = Field(
        default=None,
        examples=["alice"],
        description="Applies to this user, by the name that the directory confirms.",
    )
    send: Settings = Field(
        examples=[["Class = admins", "Filter-Id = acl-admins"]],
        description="Attributes by their dictionary names. `=` replaces what a `radius_client` sent under "
        "that name, `+=` adds to it. `NAME:1 = …` sets a tag. Octets can be written as 0x…. Text with a "
        "comma, or with a space at its end, has to be in quotes.",
    )


ATTRIBUTES = GroupFamily(
    "attributes",
    {"attribute_group": "group", "attribute_user": "user", "attribute_send": "send"},
    ("attribute_send",),
)


def rule_faults(rules: Sequence[AttributeRule]) -> Iterator[Finding]:
    """Entries that contradict themselves, or never apply."""
    seen: dict[tuple[str, str], int] = {}
    for index, rule in enumerate(rules):
        if rule.group is not None and rule.user is not None:
            yield Finding(
                ("attributes", index, "user"),
                "there is also a group: use one of the two, or write two entries",
            )
            continue
        whose = ("", canonical(rule.user or "")) if rule.group is None else ("group", rule.group.lower())
        if seen.setdefault(whose, index) != index:
            named = rule.group or rule.user or "users whom no other entry matches"
            yield Finding(("attributes", index), f"there is already an entry for {named}: combine the two")
