"""`authproxy paths`: lists every way in without both factors that this configuration allows (F10)."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from textwrap import fill

from authproxy.cli.configuration import load_or_tell
from authproxy.cli.terminal import Terminal
from authproxy.config.load import Loaded
from authproxy.config.model import ServerSection
from authproxy.config.way import Kind, Way
from authproxy.config.ways_in import ways_in

SUMMARY = (
    "List every way to an Accept without both factors that this configuration allows: which "
    "option allows it, for whom, and on which conditions. Reads only the configuration."
)
EXAMPLE = "authproxy paths -c /etc/authproxy/authproxy.yaml > paths-2025-07.txt"

INVALID = 2
_KINDS = {
    Kind.RULE: "always",
    Kind.OUTAGE: "in an outage",
    Kind.ORDER: "by command",
    Kind.CLOUD: "by the cloud",
    Kind.ONE_FACTOR: "one factor",
    Kind.FORGERY: "by forgery",
    Kind.UNBOUND: "without login",
}
# What no configuration can tell.
ELSEWHERE = (
    "Who has bypass status at the cloud, and whom its policies and network rules exempt. Look there.",
    "What the client does when this proxy doesn't answer. With a second RADIUS server that "
    "asks for no second factor, or a local fallback, users get in around this proxy.",
    "Whether the client can reach the primary directly, with a secret that the primary accepts.",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(options: argparse.Namespace) -> int:
    """0, even if there are ways in; 2: invalid."""
    loaded = load_or_tell(options)
    if loaded is None:
        return INVALID
    ways = ways_in(loaded.config)
    if options.json:
        print(json.dumps({"ways": [asdict(way) for way in ways], "elsewhere": ELSEWHERE}, indent=2))
    else:
        _show(loaded, ways, Terminal())
    return 0


def _show(loaded: Loaded, ways: tuple[Way, ...], terminal: Terminal) -> None:
    for name, section in loaded.config.sections.items():
        found = [way for way in ways if way.section == name]
        if not found:
            continue
        called = f" ({section.name})" if isinstance(section, ServerSection) and section.name != name else ""
        terminal.line(f"{name}{called}", "strong")
        for way in found:
            _way(way, terminal)
        terminal.line()
    terminal.line("what this list can't see", "strong")
    for one in ELSEWHERE:
        _wrapped(one, terminal, "  - ")


def _way(way: Way, terminal: Terminal) -> None:
    reason = f" [{way.reason}]" if way.reason else ""
    mark = terminal.paint(f"  {_KINDS[way.kind]:<14}", "quiet" if way.kind is Kind.CLOUD else "bad")
    terminal.marked(mark, f"{way.option}{reason}")
    _wrapped(way.who, terminal, "    ")
    if way.only_if:
        _wrapped(f"only if {'; '.join(way.only_if)}", terminal, "    ")


def _wrapped(text: str, terminal: Terminal, indent: str) -> None:
    for line in fill(text, 110, initial_indent=indent, subsequent_indent=" " * len(indent)).splitlines():
        terminal.line(line)
