"""`authproxy convert`: a new file that only its owner can read, and a report without secrets."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from authproxy.cli import main
from authproxy.config.load import load
from tests.config.files import CFG_WHOLE, SKEY, written


def test_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path, CFG_WHOLE + "[cloud]\nikey=x\n", "authproxy.cfg")
    target = tmp_path / "authproxy.yaml"
    assert main(["convert", str(source), "-o", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert load(target, {}).config.sections
    out, err = capsys.readouterr()
    for heading in ("not supported, left out", "risky", "changed in the file", "works differently here"):
        assert f"\n{heading}:\n  " in out
    assert "opensesame" not in out + err
    assert SKEY not in out + err


def test_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path, CFG_WHOLE, "authproxy.cfg")
    assert main(["convert", str(source)]) == 0
    out, err = capsys.readouterr()
    assert load(written(tmp_path, out, "new.yaml"), {}).config.sections
    assert "risky:" in err
    assert "opensesame" not in err


def test_never_over_a_file_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path, CFG_WHOLE, "authproxy.cfg")
    target = written(tmp_path, "precious")
    assert main(["convert", str(source), "-o", str(target)]) == 2
    assert target.read_text() == "precious"
    assert "File exists" in capsys.readouterr().err


def test_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path, CFG_WHOLE + "fail_mode=secure\n", "authproxy.cfg")
    assert main(["convert", str(source), "-o", str(tmp_path / "a.yaml")]) == 2
    assert "did you mean failmode?" in capsys.readouterr().err
    assert not (tmp_path / "a.yaml").exists()
