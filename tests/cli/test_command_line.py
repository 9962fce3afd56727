"""Where words may stand on the command line, and what is said to somebody who mistypes them."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from authproxy.cli import main
from tests.config.files import WHOLE, written
from tests.system.parts.needs import missing


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "-c", "FILE", "check"],
        ["--json", "check", "-c", "FILE"],
        ["-c", "FILE", "check", "--json"],
        ["check", "--json", "--config=FILE"],
    ],
)
def test_options_stand_before_the_verb_or_behind_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing.yaml")
    assert main([word.replace("FILE", missing) for word in words]) == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["file"] == missing


def test_a_file_may_be_called_like_a_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "run", "check"]) == 2
    assert capsys.readouterr().out.startswith("run: its name has to end in ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "commands:\n  demo "),
        (["chek"], "authproxy: error: 'chek' is not a command (did you mean check?)\n"),
        (["frobnicate"], "'frobnicate' is not a command; `authproxy --help` lists the commands\n"),
        (["--bogus"], "unrecognized arguments: --bogus\n"),
    ],
)
def test_without_a_verb(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["cloud", "admin", "add", "root", "--data", "DATA"], ["login", "alice", "-c", "FILE"]]
)
def test_a_password_is_never_asked_for_where_it_would_be_seen(tmp_path: Path, command: list[str]) -> None:
    """As under a shell without a terminal: no warning of Python's, and nothing is read."""
    path = written(tmp_path, "main: {state_dir: .}\n" + WHOLE.replace("10.1.0.0/24", "127.0.0.1"))
    places = {"DATA": str(tmp_path / "cloud"), "FILE": str(path)}
    done = subprocess.run(
        [sys.executable, "-m", "authproxy", *(places.get(word, word) for word in command)],
        input="secret\nsecret\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert done.returncode in (1, 2)
    assert done.stderr.splitlines()[-1].endswith(
        "there is no terminal on which a password could be typed unseen: use --password-stdin"
    )
    assert "Warning" not in done.stderr


def test_a_question_without_an_answer_is_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", ended)
    assert main(["cloud", "admin", "add", "root", "--data", str(tmp_path)]) == 2
    assert "authproxy cloud: standard input ended" in capsys.readouterr().err


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("command", [["secret", "generate"], ["schema"]])
def test_an_output_that_can_t_be_written(command: list[str], buffered: str) -> None:
    """A full disk under a redirection: no traceback, and no success."""
    if not Path("/dev/full").exists():
        missing("there is no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "authproxy", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
        )
    told = f"authproxy {command[0]}: the output can't be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, told)
