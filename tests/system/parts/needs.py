"""Real servers that tests run: a test without one skips and says what to install; in CI it fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def needs(program: str, package: str) -> str:
    """The path of a program. Skips the test when it isn't installed; fails it when CI=true."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return path or _missing(program, package)


def needs_library(name: str, package: str) -> str:
    """The path of a shared library, below wherever this machine's architecture has them; as `needs` otherwise."""
    found = [path for root in ("/usr/lib", "/lib") for path in Path(root).glob(f"*/{name}")]
    return str(found[0]) if found else _missing(name, package)


def _missing(what: str, package: str) -> NoReturn:
    reason = f"{what} is not installed: apt-get install {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
