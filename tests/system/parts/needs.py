"""Real servers that tests run: a test without one skips and says what to install; in CI it fails."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(program: str, package: str, *folders: str) -> str:
    """The path of a program, in one of the usual folders or of these. Skips the test when it isn't installed;

    fails it when CI=true.
    """
    usual = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    path = shutil.which(program, path=":".join([*folders, *usual]))
    if path is None:
        reason = f"{program} is not installed: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
