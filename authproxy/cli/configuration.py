"""Loads the configuration for a command, or prints every problem to standard error."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from authproxy.config.find import find_config
from authproxy.config.load import Loaded, load
from authproxy.config.problems import InvalidConfig


def load_or_tell(options: argparse.Namespace) -> Loaded | None:
    """None: it is invalid, and the problems were printed; the command ends with 2."""
    try:
        return load(find_config(options.config, os.environ, Path.cwd()))
    except InvalidConfig as invalid:
        for problem in invalid.problems:
            print(problem, file=sys.stderr)
        return None
