"""`authproxy secret`: what it prints can be used as it is, and no secret is ever an argument."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from authproxy.cli import main
from authproxy.config.load import load
from authproxy.config.model import AdClient
from tests.config.files import WHOLE, written


def test_generate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret", "generate"]) == 0
    assert main(["secret", "generate", "--length", "64"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert (len(first), len(second)) == (32, 64)
    assert (first + second).isalnum()


@pytest.mark.parametrize("length", ["15", "129", "x"])
def test_generate_no_short_ones(length: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["secret", "generate", "--length", length])
    assert ended.value.code == 2


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(b"opensesame\n"))
    monkeypatch.setattr("sys.stdin", stdin)


@pytest.mark.usefixtures("typed")
def test_protect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The configuration isn't complete yet: its secrets are about to be made."""
    text = "main:\n  state_dir: state\n" + WHOLE
    path = written(tmp_path, text.replace('"opensesame"', '""'))
    assert main(["secret", "protect", "-c", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "made a new key" in err
    assert "opensesame" not in out + err
    config = load(written(tmp_path, text.replace('"opensesame"', out.strip())), {}).config
    assert config.all(AdClient)["ad_client"].service_account_password.reveal() == b"opensesame"


@pytest.mark.usefixtures("typed")
def test_protect_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret", "protect", "--state-dir", str(tmp_path / "state")]) == 0
    assert capsys.readouterr().out.startswith("{protected: v1.")


def test_protect_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(b"\n")))
    assert main(["secret", "protect", "--state-dir", str(tmp_path)]) == 1
    assert "there was no secret on standard input" in capsys.readouterr().err


@pytest.mark.parametrize(("again", "code"), [("opensesame", 0), ("opensesami", 1)])
def test_at_a_terminal_it_is_asked_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, again: str, code: int
) -> None:
    answers = iter(["opensesame", again])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    assert main(["secret", "protect", "--state-dir", str(tmp_path)]) == code
    assert "opensesam" not in "".join(capsys.readouterr())


@pytest.mark.usefixtures("typed")
def test_a_folder_that_can_not_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["secret", "protect", "--state-dir", str(tmp_path / "file" / "x")]) == 1
    assert "Not a directory" in capsys.readouterr().err


@pytest.mark.usefixtures("typed")
def test_a_configuration_that_can_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret", "protect", "-c", str(tmp_path / "none.yaml")]) == 2
    assert "No such file" in capsys.readouterr().err
