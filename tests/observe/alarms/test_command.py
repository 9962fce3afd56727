"""The program gets the alarm on standard input, nothing of ours elsewhere, and is killed at its deadline."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from authproxy.observe.alarms.command import Command
from authproxy.observe.alarms.hook import NotDelivered


def script(folder: Path, text: str) -> str:
    path = folder / "page"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def test_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell, no environment of ours, another session and folder, no descriptor of ours."""
    monkeypatch.setenv("VPN_SKEY", "c4n4ry")
    out = tmp_path / "out"
    with (tmp_path / "secret").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        program = script(tmp_path, f'{{ cat; echo "$1|$2"; pwd; ls /proc/self/fd | wc -l; env; }} > {out}')
        Command([program, "$(id) `id` ; *", "two words"]).deliver(b'{"alarm":"test"}\n')
    said, arguments, folder, descriptors, *environment = out.read_text().splitlines()
    assert json.loads(said) == {"alarm": "test"}
    assert arguments == "$(id) `id` ; *|two words"
    assert folder == "/"
    assert int(descriptors) <= 5  # 0, 1, 2, the listing's own and the pipe's
    assert {line.partition("=")[0] for line in environment} <= {"PATH", "LANG", "PWD", "_", "SHLVL", "OLDPWD"}
    assert "c4n4ry" not in out.read_text()


@pytest.mark.parametrize(
    ("text", "problem"),
    [("exit 3", "exit code 3"), ("kill -9 $$", "exit code -9"), ("exit 0", ""), ("exec <&-; exit 0", "")],
)
def test_what_came_of_it(tmp_path: Path, text: str, problem: str) -> None:
    command = Command([script(tmp_path, text)])
    if not problem:
        command.deliver(b"x" * 60_000)
        return
    with pytest.raises(NotDelivered, match=problem):
        command.deliver(b"{}")


def test_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    program = script(tmp_path, f"sleep 600 & echo $! > {pids}; echo $$ >> {pids}; sleep 600")
    command = Command([program], patience=0.5)
    with pytest.raises(NotDelivered, match=r"killed after 0\.5 s"):
        command.deliver(b"{}")
    for pid in pids.read_text().split():
        deadline = time.monotonic() + 5
        while _lives(int(pid)) and time.monotonic() < deadline:
            pass
        assert not _lives(int(pid))


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # its parent is gone; whoever inherited it has not looked yet


def test_no_such_program(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered, match="No such file"):
        Command([str(tmp_path / "none")]).deliver(b"{}")
