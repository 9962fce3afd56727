"""The documents: links lead somewhere, commands can be typed, files are there, and each reason is explained."""

from __future__ import annotations

import importlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from authproxy.cli import _divided, _verb_parser
from authproxy.pipeline.decision import Reason

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"(?ms)^```.*?^```$")
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
HEADING = re.compile(r"(?m)^#{1,6} (.+?) *$")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")
COMMAND = re.compile(r"(?:`|^ {4})(?:\S*/)?authproxy (?=[-a-z])([^`#\n]*)", re.MULTILINE)
NAMED_FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|yaml|cfg|service|conf))(?=[`:])")
CHALLENGES = {Reason.FACTOR_PROMPT, Reason.ENROLL_PROMPT, Reason.PRIMARY_CHALLENGE}


def prose(text: str) -> str:
    """Without blocks of code, in which brackets and # mean something else."""
    return "\n".join(line for line in FENCED.sub("", text).splitlines() if not line.startswith("    "))


def links(text: str) -> Iterator[str]:
    """Where the relative links of a document lead."""
    return (target for target in LINK.findall(CODE.sub("", prose(text))) if not ELSEWHERE.match(target))


def anchor(heading: str) -> str:
    """As GitHub names a heading: small letters, hyphens for spaces, no other punctuation."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def anchors(text: str) -> set[str]:
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(prose(text)):
        name = anchor(heading)
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def broken(document: Path, text: str) -> list[str]:
    """The links of a document that lead nowhere."""
    nowhere = []
    for link in links(text):
        name, _, fragment = unquote(link).partition("#")
        target = (document.parent / name).resolve() if name else document
        found = target.exists() and target.is_relative_to(ROOT)
        if not found or (fragment and fragment not in anchors(target.read_text(encoding="utf-8"))):
            nowhere.append(link)
    return nowhere


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_resolves(document: Path) -> None:
    assert broken(document, document.read_text(encoding="utf-8")) == []


def test_a_broken_link_is_found() -> None:
    text = "[a](docs/nowhere.md) [b](#not-here) [c](docs/outage.md#nor-here) [d](../above.md) [e](https://x.example)"
    assert broken(ROOT / "README.md", text) == [
        "docs/nowhere.md",
        "#not-here",
        "docs/outage.md#nor-here",
        "../above.md",
    ]


def test_a_link_in_code_is_none() -> None:
    assert not list(links("`[a](b)`\n\n    [c](d)\n\n```\n[e](f)\n```\n"))


def test_headings_are_named_as_github_names_them() -> None:
    text = "# Who it is, and what it may do\n## `silent` in detail\n## X\n```\n# no heading\n```\n## X\n"
    assert anchors(text) == {"who-it-is-and-what-it-may-do", "silent-in-detail", "x", "x-1"}


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in CHALLENGES])
def test_every_reason_is_explained(reason: Reason) -> None:
    assert f"\n| `{reason.value}`" in (ROOT / "docs" / "troubleshoot.md").read_text(encoding="utf-8")


def commands(text: str) -> set[str]:
    """What the documents say to type, without comments, redirections and `[optional]` words."""
    found = {re.split(r" [>|<&] | \[", command)[0].strip() for command in COMMAND.findall(text)}
    return {command for command in found if not command.endswith("…")}


@pytest.mark.parametrize(
    "command", sorted(set().union(*(commands(path.read_text(encoding="utf-8")) for path in DOCUMENTS)))
)
def test_every_command_can_be_typed(command: str) -> None:
    verb, words = _divided(shlex.split(command))
    assert verb is not None
    if not words:
        return  # its name, in a sentence
    parser = _verb_parser(verb, importlib.import_module(f"authproxy.cli.{verb.replace('-', '_')}"))
    parser.parse_args(words)


@pytest.mark.parametrize("name", ["design.md", "develop.md", "standards.md"])
def test_the_files_that_developers_are_sent_to_are_there(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    files = [
        f"/{path.relative_to(ROOT)}"
        for folder in ("authproxy", "tests", "conf", "systemd")
        for path in (ROOT / folder).rglob("*.*")
    ]
    assert [
        named for named in NAMED_FILE.findall(text) if not any(file.endswith(f"/{named}") for file in files)
    ] == []
