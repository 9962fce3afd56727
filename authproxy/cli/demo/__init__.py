"""`authproxy demo`: directory, cloud, phone page and proxy on this machine, with nothing else installed."""

from __future__ import annotations

import argparse
import importlib

SUMMARY = (
    "The whole on this machine: a directory, a cloud service with a phone page, and the proxy between them, on\n"
    "loopback ports of their own. Prints what to try, shows decisions as they fall, and leaves nothing behind."
)
EXAMPLE = "authproxy demo --once"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--once",
        action="store_true",
        help="play the tour by itself and end: exit 0 if every step did what it says",
    )
    parser.add_argument("--json", action="store_true", help="with --once: the tour's outcome as JSON")


def run(options: argparse.Namespace) -> int:
    return int(
        importlib.import_module("authproxy.cli.demo.play").play(once=options.once, as_json=options.json)
    )
