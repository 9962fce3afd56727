"""`authproxy run`: the daemon in the foreground."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

from authproxy.config.find import find_config
from authproxy.config.load import Loaded, load
from authproxy.config.problems import InvalidConfig

SUMMARY = (
    "Run the daemon in the foreground. When it is ready, it prints `ready` and the addresses "
    "on which it listens to standard error. SIGTERM lets waiting logins end and stops it; "
    "SIGHUP reloads the configuration."
)
EXAMPLE = "authproxy run -c /etc/authproxy/authproxy.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(options: argparse.Namespace) -> int:
    """0 drained, 1 cannot start, 2 invalid configuration."""
    try:
        path = find_config(options.config, os.environ, Path.cwd())

        def reread() -> Loaded:
            return load(path)

        # What a start makes stays, so looking for garbage in it takes a tenth of the start; service/garbage.py says
        # how it is looked for later.
        gc.set_threshold(20_000, 10, 1_000_000)
        loaded = reread()
        # Only now: a configuration with mistakes in it is told without loading all the rest.
        from authproxy.service import daemon  # noqa: PLC0415

        return daemon.run(loaded, reread)
    except InvalidConfig as invalid:
        for problem in invalid.problems:
            print(problem, file=sys.stderr)
        return 2
