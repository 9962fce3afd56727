"""`authproxy explain`: which rules apply to a user in a section, now and in an outage. No password, no push."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from authproxy.cli.admin_client import AdminClient, NotAnswering
from authproxy.cli.configuration import load_or_tell
from authproxy.cli.probe import in_a_reactor
from authproxy.cli.terminal import Terminal
from authproxy.config.load import Loaded
from authproxy.config.model import ServerSection
from authproxy.config.problems import InvalidConfig

if TYPE_CHECKING:
    from authproxy.service.explanation import Explanation

SUMMARY = (
    "Show which rules apply to a user in a section (name, entry, groups, exemptions, "
    "factors), and what would become of a login now and in an outage of the cloud. Asks for "
    "no password, sends no push, changes nothing."
)
EXAMPLE = "authproxy explain --user alice --section radius_server_auto"

TOLD, UNTOLD, INVALID, INTERRUPTED = 0, 1, 2, 130
_KINDS = {"yes": "good", "no": "bad", "note": "quiet", "unknown": "warn"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, metavar="U", help="the name as the user types it")
    parser.add_argument(
        "--section",
        metavar="S",
        help="the server section, by either of its names; not needed if there is only one",
    )
    parser.add_argument(
        "--ask-cloud",
        action="store_true",
        help="also ask the cloud what it would answer for this user (preauth); it sends no push",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(options: argparse.Namespace) -> int:
    """0: it could tell; 1: a server that had to be asked didn't answer; 2: invalid."""
    loaded = load_or_tell(options)
    if loaded is None:
        return INVALID
    name = _section(loaded, options.section)
    if name is None:
        return INVALID
    running = _running(loaded, name)
    found: list[Explanation] = []

    async def ask(reactor: Any) -> None:
        # Only now: this brings all that the daemon is made of.
        from authproxy.service.explain import explain  # noqa: PLC0415

        found.append(
            await explain(loaded, name, options.user, reactor, ask_cloud=options.ask_cloud, running=running)
        )

    try:
        finished = in_a_reactor(ask)
    except InvalidConfig as invalid:
        for problem in invalid.problems:
            print(problem, file=sys.stderr)
        return INVALID
    if not finished:
        return INTERRUPTED
    if options.json:
        print(json.dumps(asdict(found[0]) | {"complete": found[0].complete}, indent=2))
    else:
        _show(found[0], Terminal())
    return TOLD if found[0].complete else UNTOLD


def _section(loaded: Loaded, wanted: str | None) -> str | None:
    """By its name in the file, or by its `name`."""
    sections = loaded.config.all(ServerSection)
    found = [name for name, section in sections.items() if wanted in (None, name, section.name)]
    if len(found) == 1:
        return found[0]
    known = " | ".join(found or sections)
    problem = (
        f"which section? --section {known}" if found else f"there is no section {wanted}; there is: {known}"
    )
    print(f"authproxy explain: {problem}", file=sys.stderr)
    return None


def _running(loaded: Loaded, name: str) -> Mapping[str, Any] | None:
    """What the daemon tells of this section, if it can be asked."""
    client = AdminClient.of(loaded.config.main)
    if client is None:
        return None
    try:
        sections = client.status()["sections"]
    except NotAnswering:
        return None
    called = loaded.config.all(ServerSection)[name].name
    return next((section for section in sections if section["name"] == called), None)


def _show(told: Explanation, terminal: Terminal) -> None:
    terminal.line(f"{told.user} in {told.section} ({told.kind})", "strong")
    for rule in told.rules:
        mark = terminal.paint(f"  {rule.word.value:<8}", _KINDS[rule.word.value])
        terminal.marked(mark, f"{rule.what:<15} {rule.detail}")
    for when, outlook in (("now", told.now), ("in an outage", told.outage)):
        alone = outlook.outcome.value == "accept"
        reason = f"  [{outlook.reason}]" if outlook.reason else ""
        terminal.line(f"{when + ':':<14} {outlook.text}{reason}", "bad" if alone else "")
