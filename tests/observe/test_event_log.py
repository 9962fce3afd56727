"""The log as it runs: levels, forms, floods, failing outlets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from authproxy.observe import event_log
from authproxy.observe.event_log import EventLog, LogSettings, LogUnusable, open_log
from authproxy.observe.lines import Event, as_text
from authproxy.observe.login_fields import LoginFields
from tests.observe.fakes import Paper, wait_until
from tests.observe.test_audit import EVENT
from tests.observe.test_failures import CANARY, raised


def encoded(event: Event) -> bytes:
    return as_text(event).encode()


class Clock:
    now = 1_738_324_800.0

    def __call__(self) -> float:
        return self.now


def written(paper: Paper) -> list[str]:
    """Without their time stamps."""
    return [line.decode().partition(" ")[2] for line in paper.lines]


@pytest.fixture
def paper() -> Paper:
    return Paper()


def test_levels(paper: Paper) -> None:
    log = EventLog()
    log.add("paper", paper, encoded)
    log.debug("a.seen")
    log.info("a.begun", n=1)
    log.warn("a.odd")
    log.error("a.broken")
    log.failure("a.failed", raised(CANARY), client="asa")
    assert log.flush()
    lines = written(paper)
    assert lines[:3] == ["info a.begun n=1", "warn a.odd", "error a.broken"]
    assert lines[3].startswith('error a.failed client=asa error="KeyError < ValueError"')
    assert CANARY not in lines[3]
    log.close()


def test_debug_when_asked(paper: Paper) -> None:
    log = EventLog(debug=True)
    log.add("paper", paper, encoded)
    log.debug("a.seen")
    assert log.flush()
    assert written(paper) == ["debug a.seen"]
    log.close()


def test_a_flood_is_counted_and_told(paper: Paper) -> None:
    clock = Clock()
    log = EventLog(clock=clock)
    log.add("paper", paper, encoded)
    for _ in range(1000):
        log.warn("radius.discarded", cause="unknown_client", source="192.0.2.9")
    clock.now += 61
    log.info("a.begun")
    log.sweep()
    assert log.flush()
    assert written(paper)[4:] == [
        "warn radius.discarded cause=unknown_client source=192.0.2.9",
        "warn log.suppressed of=radius.discarded cause=unknown_client count=995 seconds=61 most_from=192.0.2.9",
        "info a.begun",
    ]
    log.close()


def test_logins_are_never_too_many(paper: Paper) -> None:
    log = EventLog(clock=Clock())
    log.add("paper", paper, encoded)
    for _ in range(10_000):
        log.login(0.0, "login.decided", LoginFields(EVENT), warns=True)
    assert log.flush()
    assert len(paper.lines) == 10_000
    log.close()


def test_one_outlet_tells_of_the_other(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authproxy.observe.writer._RETRY", 0.01)
    full = Paper(problem=OSError(28, "No space left on device"))
    log = EventLog()
    log.add("file", full, encoded)
    log.add("paper", paper, encoded)
    log.info("a.begun")
    wait_until(lambda: log.writers[0].problem)
    full.problem = None
    wait_until(lambda: "recovered" in str(paper.lines))
    assert written(paper)[:3] == [
        "info a.begun",
        'error log.outlet_failed outlet=file problem="No space left on device"',
        "warn log.outlet_recovered outlet=file lost=0",
    ]
    assert log.flush()
    assert written(full)[0] == "info a.begun"
    log.close()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_file(tmp_path: Path, as_json: bool) -> None:
    log = open_log(LogSettings(file=tmp_path / "log" / "authproxy.log", json=as_json))
    log.info("a.begun", user="müller")
    log.close()
    line = (tmp_path / "log" / "authproxy.log").read_text().splitlines()[0]
    if as_json:
        assert json.loads(line)["user"] == "müller"
    else:
        assert line.endswith("info a.begun user=müller")


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    log = open_log(LogSettings(stdout=True))
    log.info("a.begun")
    log.close()
    assert capfd.readouterr().out.endswith("info a.begun\n")


def test_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    readers = {}
    for name in ("SYSLOG_SOCKET", "JOURNAL_SOCKET"):
        readers[name] = reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        reader.bind(str(tmp_path / name))
        reader.settimeout(5)
        monkeypatch.setattr(event_log, name, str(tmp_path / name))
    log = open_log(LogSettings(syslog=True, facility="LOG_AUTH", journald=True))
    log.warn("a.odd", why="so")
    assert readers["SYSLOG_SOCKET"].recv(1000).endswith(b"authproxy[%d]: a.odd why=so" % os.getpid())
    assert b"AUTHPROXY_WHY\n" in readers["JOURNAL_SOCKET"].recv(1000)
    log.close()
    for reader in readers.values():
        reader.close()


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogUnusable, match=r"file/log/authproxy\.log: Not a directory"):
        open_log(LogSettings(file=tmp_path / "file" / "log" / "authproxy.log"))
    with pytest.raises(LogUnusable, match="LOG_USER"):
        open_log(LogSettings(syslog=True, facility="LOG_NONSENSE"))


@pytest.mark.parametrize("nowhere", [True, False])
def test_standard_output_that_leads_nowhere_is_no_log(monkeypatch: pytest.MonkeyPatch, nowhere: bool) -> None:
    """F8: it would take any record of an open door, and keep none."""
    monkeypatch.setattr(event_log, "leads_nowhere", lambda descriptor: nowhere)
    log = open_log(LogSettings(stdout=True))
    assert [writer.name for writer in log.writers] == ([] if nowhere else ["stdout"])
    log.close()
