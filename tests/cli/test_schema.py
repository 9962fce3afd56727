"""`authproxy schema`: what docs/options.md and conf/ are made with."""

from __future__ import annotations

import json

import pytest

from authproxy.cli import main


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "authproxy"


@pytest.mark.parametrize(
    ("option", "begins"), [("--option-reference", "<!-- Made by"), ("--reference-yaml", "# Every option")]
)
def test_documents(option: str, begins: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", option]) == 0
    assert capsys.readouterr().out.startswith(begins)
