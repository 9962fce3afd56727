"""`authproxy demo`: directory, cloud, phone page and proxy on this machine, with nothing else installed."""

from __future__ import annotations

import argparse
import importlib

SUMMARY = (
    "Run everything on this machine: a directory, a cloud service with a phone page, and the "
    "proxy between them, on loopback ports of their own. It prints what to try, shows each "
    "decision, and removes everything at its end."
)
EXAMPLE = "authproxy demo --once"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--once",
        action="store_true",
        help="play the tour by itself and end; exit code 0 if every step went as it should",
    )
    parser.add_argument("--json", action="store_true", help="with --once: print the tour's outcome as JSON")


def run(options: argparse.Namespace) -> int:
    return int(
        importlib.import_module("authproxy.cli.demo.play").play(once=options.once, as_json=options.json)
    )
