"""`authproxy probe`: tests everything that the configuration names, and prints the outcome."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from authproxy.cli.configuration import load_or_tell
from authproxy.cli.finding import Finding, Level
from authproxy.cli.terminal import Terminal
from authproxy.config.load import Loaded
from authproxy.config.problems import InvalidConfig

SUMMARY = (
    "Test what the configuration names: the cloud, its clock and the credentials for it, "
    "each directory with its service account, certificates, folders and ports. No user's "
    "password is tried, and nothing is changed."
)
EXAMPLE = "authproxy probe -c /etc/authproxy/authproxy.yaml"

WELL, FAILED, INVALID, INTERRUPTED = 0, 1, 2, 130
_MARKS = {Level.OK: ("ok", "good"), Level.WARN: ("warning", "warn"), Level.FAILED: ("FAILED", "bad")}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(options: argparse.Namespace) -> int:
    loaded = load_or_tell(options)
    if loaded is None:
        return INVALID
    report = Report(quiet=options.json)
    report.add(_configuration(loaded))
    try:
        finished = in_a_reactor(lambda reactor: probe(loaded, reactor, report))
    except InvalidConfig as invalid:
        for problem in invalid.problems:
            print(problem, file=sys.stderr)
        return INVALID
    if not finished:
        return INTERRUPTED
    report.end()
    return FAILED if report.counts[Level.FAILED] else WELL


async def probe(loaded: Loaded, reactor: Any, report: Report) -> None:
    """Test everything. Raises InvalidConfig: problems that only building shows."""
    # Only now: these bring all that the daemon is made of.
    from authproxy.cli.probe_backends import probe_backends  # noqa: PLC0415
    from authproxy.cli.probe_here import probe_here  # noqa: PLC0415

    await probe_backends(loaded, reactor, report.add, report.waiting)
    for finding in probe_here(loaded):
        report.add(finding)


def _configuration(loaded: Loaded) -> Finding:
    count = len(loaded.warnings)
    detail = f"good; {count} warning{'s' if count > 1 else ''}, see `authproxy check`" if count else "good"
    return Finding(Level.WARN if count else Level.OK, "configuration", str(loaded.path), detail)


@dataclass(slots=True)
class Report:
    """Prints each line as soon as it is known, or one object at the end."""

    quiet: bool = False
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[Level] = field(default_factory=Counter)
    terminal: Terminal = field(default_factory=Terminal)

    def add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.counts[finding.level] += 1
        if not self.quiet:
            word, kind = _MARKS[finding.level]
            self.terminal.passed()
            mark = self.terminal.paint(f"{word:<8}", kind)
            self.terminal.marked(mark, f"{finding.what:<14} {finding.name}: {finding.detail}")

    def waiting(self, names: list[str]) -> None:
        if names and not self.quiet:
            self.terminal.passing(f"waiting for {', '.join(names)} …")

    def end(self) -> None:
        if self.quiet:
            well = not self.counts[Level.FAILED]
            print(
                json.dumps({"well": well, "findings": [asdict(found) for found in self.findings]}, indent=2)
            )
            return
        parts = [f"{self.counts[Level.OK]} ok"]
        if self.counts[Level.WARN]:
            parts.append(f"{(count := self.counts[Level.WARN])} warning{'s' if count > 1 else ''}")
        if self.counts[Level.FAILED]:
            parts.append(f"{self.counts[Level.FAILED]} failed")
        self.terminal.line(", ".join(parts), "bad" if self.counts[Level.FAILED] else "good")


def in_a_reactor(work: Callable[[Any], Any]) -> bool:
    """Run a coroutine to its end; False: the user interrupted it. Raises what it raises."""
    from twisted.internet import reactor as installed  # noqa: PLC0415 - importing it installs it
    from twisted.internet.defer import Deferred  # noqa: PLC0415
    from twisted.python.failure import Failure  # noqa: PLC0415

    reactor: Any = installed
    outcome: list[object] = []

    def ended(result: object) -> None:
        outcome.append(result)
        if reactor.running:
            reactor.stop()

    def begin() -> None:
        Deferred.fromCoroutine(work(reactor)).addBoth(ended)

    reactor.callWhenRunning(begin)
    reactor.run()
    if outcome and isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return bool(outcome)
