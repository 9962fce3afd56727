"""Real servers that tests run: a test without one skips and says what to install; in CI it fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skips the test; fails it when CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def needs(program: str, package: str, *folders: str) -> str:
    """The path of a program, in one of these folders or of the usual ones; else as `missing`."""
    usual = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    path = shutil.which(program, path=":".join([*folders, *usual]))
    return path or missing(f"{program} is not installed: apt-get install {package}")


def needs_library(name: str, package: str) -> Path:
    """The file of this name, below wherever this machine's architecture has its libraries; else as `missing`."""
    found = [path for folder in ("/usr/lib", "/lib") for path in Path(folder).glob(f"*/{name}")]
    return found[0] if found else missing(f"{name} is not installed: apt-get install {package}")
