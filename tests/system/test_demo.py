"""`authproxy demo` as a newcomer runs it: from an empty folder, with the real daemon behind it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.bench.daemon import ELSEWHERE

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
TITLES = [
    "a push that is approved",
    "a push that is denied",
    "a passcode behind the password",
    "a wrong password",
    "an outage, failmode safe",
    "the same outage, failmode secure",
    "passwords and passcodes in the logs",
]


def begin(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The demo, with its temporary files below `folder`. It hears Ctrl-C, though our parent may ignore it."""
    (folder / "here").mkdir(exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp"), "TZ": ELSEWHERE}
    return subprocess.Popen(
        [sys.executable, "-m", "authproxy", "demo", *words],
        cwd=folder / "here", env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one call of the system's
    )  # fmt: skip


def nothing_is_left(folder: Path) -> bool:
    """No file, and no process that was started with one."""
    commands = [
        (Path("/proc") / name / "cmdline").read_bytes()
        for name in os.listdir("/proc")
        if name.isdigit() and (Path("/proc") / name / "cmdline").exists()
    ]
    return (
        list((folder / "tmp").iterdir()) == []
        and list((folder / "here").iterdir()) == []
        and not any(str(folder / "tmp").encode() in command for command in commands)
    )


@pytest.mark.long
def test_the_tour_twice_at_once(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    demos = [begin(folder, "--once", "--json") for folder in folders]
    for folder, demo in zip(folders, demos, strict=True):
        out, err = demo.communicate(timeout=100)
        assert demo.returncode == 0, out + err
        told = json.loads(out)
        assert told["ok"] is True
        assert [step["title"] for step in told["steps"]] == TITLES
        assert all(step["got"] == step["expected"] for step in told["steps"])
        assert nothing_is_left(folder)


def test_the_table_for_people(tmp_path: Path) -> None:
    demo = begin(tmp_path, "--once")
    out, err = demo.communicate(timeout=100)
    assert demo.returncode == 0, out + err
    for title in TITLES:
        assert re.search(f"^ok +{re.escape(title)}", out, re.MULTILINE), out
    assert "7 of 7" in out


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_it_waits_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    demo = begin(tmp_path)
    assert demo.stdout is not None
    said = read_until(demo, "Decisions:")
    assert "http://localhost:" in said
    assert "authproxy.yaml login --section radius_server_auto alice" in said
    demo.send_signal(number)
    _, err = demo.communicate(timeout=30)
    assert demo.returncode == 0, err
    assert "stopped and removed" in err
    assert nothing_is_left(tmp_path)


def read_until(demo: subprocess.Popen[str], words: str) -> str:
    assert demo.stdout is not None
    said, until = "", time.monotonic() + 60
    while words not in said:
        left = until - time.monotonic()
        assert left > 0, said
        assert select.select([demo.stdout], [], [], left)[0], said
        octets = os.read(demo.stdout.fileno(), 65536)
        assert octets, said
        said += octets.decode()
    return said


def test_a_proxy_that_does_not_start_is_told(tmp_path: Path) -> None:
    """A daemon that fails fails the demo, with what it said, and nothing stays."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import sys\nif 'run' in sys.orig_argv:\n    sys.stderr.write('cannot start today')\n    raise SystemExit(1)\n"
    )
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "authproxy", "demo", "--once"],
        cwd=tmp_path, timeout=100, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{broken}", "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot start today" in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
