"""`authproxy alarm`: sends a test alarm by the program and the webhook in the configuration."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time

from authproxy.cli.configuration import load_or_tell
from authproxy.cli.terminal import Terminal
from authproxy.observe.alarms.alarm import Alarm, AlarmKind, encode
from authproxy.observe.alarms.hook import NotDelivered, Way
from authproxy.service.alarms import ways

SUMMARY = (
    "Send a test alarm by main.alarm_command and main.alarm_webhook, as the daemon would, "
    "and print what came of it. The daemon doesn't have to run."
)
EXAMPLE = "authproxy alarm -c /etc/authproxy/authproxy.yaml"

DELIVERED, FAILED, INVALID = 0, 1, 2


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(options: argparse.Namespace) -> int:
    """0: all accepted it; 1: one didn't; 2: invalid, or there is none."""
    loaded = load_or_tell(options)
    if loaded is None:
        return INVALID
    found, problems = ways(loaded.config.main)
    for problem in problems:
        print(loaded.problem("main", problem.option, problem.problem), file=sys.stderr)
    if problems:
        return INVALID
    if not found:
        print(
            f"authproxy alarm: {loaded.path} has neither alarm_command nor alarm_webhook in main",
            file=sys.stderr,
        )
        return INVALID
    text = "a test: nothing has happened"
    alarm = Alarm(AlarmKind.TEST, "test", text, time.time())
    outcomes = {way.name: _outcome(way, encode(alarm, hostname=socket.gethostname())) for way in found}
    if options.json:
        print(json.dumps({"delivered": not any(outcomes.values()), "ways": outcomes}, indent=2))
    else:
        _show(outcomes, Terminal())
    return FAILED if any(outcomes.values()) else DELIVERED


def _outcome(way: Way, octets: bytes) -> str:
    """'' or what went wrong. One try: whoever looks can try again."""
    try:
        way.deliver(octets)
    except NotDelivered as failed:
        return str(failed)
    return ""


def _show(outcomes: dict[str, str], terminal: Terminal) -> None:
    for name, problem in outcomes.items():
        mark = terminal.paint(f"{'FAILED' if problem else 'ok':<8}", "bad" if problem else "good")
        terminal.marked(mark, f"{name:<10} {problem or 'accepted the test alarm'}")
