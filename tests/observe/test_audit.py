"""authevents.log: the known fields keep their meaning; what can't be written is refused, or counted and told."""

from __future__ import annotations

import errno
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.observe.audit import AuditEvent, AuditInLog, AuditLog, AuditUnusable, encode
from authproxy.observe.event_log import EventLog
from authproxy.observe.lines import as_text, json_line
from authproxy.pipeline.ports import AuditUnavailable
from tests.observe.fakes import Paper, Remembered, wait_until

EVENT = AuditEvent(
    timestamp="2025-01-31T12:00:00.000000Z",
    msg="Both factors are right",
    username="Alice",
    dn="uid=alice,dc=example",
    auth_stage="Secondary authentication",
    status="Allow",
    client_ip="198.51.100.7",
    server_section="vpn",
    server_section_ikey="DIXXXXXXXXXXXXXXXXXX",
    factor="push",
    hostname="proxy1",
    login="L1",
    user="alice",
    decision="accept",
    reason="both_factors",
    cause=None,
    detail=None,
    primary_ms=1.5,
    cloud_ms=2000.0,
    client="asa",
    nas_ip="10.1.0.1",
    txid="T1",
    fail_open=False,
)


def made(path: Path, log: Remembered | None = None, **changes: int) -> AuditLog:
    sizes = {"max_size": 10_000_000, "max_files": 6} | changes
    return AuditLog(path, hostname="proxy1", log=log or Remembered(), **sizes)


def failing(tmp_path: Path, log: Remembered, monkeypatch: pytest.MonkeyPatch) -> tuple[AuditLog, Paper]:
    """An audit whose file is a fake that is full."""
    monkeypatch.setattr("authproxy.observe.writer._RETRY", 0.01)
    paper = Paper(problem=OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr("authproxy.observe.audit.RotatingFile", lambda *_, **__: paper)
    return made(tmp_path / "authevents.log", log), paper


def test_a_line_is_an_object_with_every_field(tmp_path: Path) -> None:
    audit = made(tmp_path / "log" / "authevents.log")
    audit.write(EVENT)
    audit.write_now(EVENT._replace(username="bob\n{}\u202e", fail_open=True))
    audit.close()
    path = tmp_path / "log" / "authevents.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    first, second = path.read_text().splitlines()
    assert json.loads(first) == EVENT._asdict()
    assert first.startswith('{"timestamp":"2025-01-31T12:00:00.000000Z","msg":"Both factors are right",')
    assert second.isprintable()
    assert json.loads(second)["username"] == "bob\n{}\u202e"


TEXT = st.text(max_size=30)
NEVER_NULL = {"msg", "username", "server_section", "hostname", "login", "client", "nas_ip"}
MAYBE_NULL = {
    "dn",
    "client_ip",
    "server_section_ikey",
    "factor",
    "user",
    "decision",
    "reason",
    "cause",
    "detail",
    "txid",
}
FIELDS = dict.fromkeys(NEVER_NULL, TEXT) | {name: st.none() | TEXT for name in MAYBE_NULL}
MEASURED = st.none() | st.floats(0, 1e9)


@given(st.fixed_dictionaries(FIELDS), MEASURED, MEASURED, st.booleans())
def test_every_event_comes_back(
    texts: dict[str, str], primary: float | None, cloud: float | None, opened: bool
) -> None:
    constants = {"timestamp": EVENT.timestamp, "auth_stage": "Unknown", "status": "Error"}
    event = EVENT._replace(**(texts | constants), primary_ms=primary, cloud_ms=cloud, fail_open=opened)
    line = encode(event)
    assert line == json_line(event._asdict())
    assert json.loads(line) == event._asdict()
    assert line.isprintable()


def test_write_now_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    audit = made(tmp_path / "authevents.log")
    for number in range(1, 50):
        audit.write_now(EVENT)
        assert len((tmp_path / "authevents.log").read_bytes().splitlines()) == number
    audit.close()


def test_an_open_door_needs_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F8."""
    log = Remembered()
    audit, paper = failing(tmp_path, log, monkeypatch)
    with pytest.raises(AuditUnavailable, match="No space left"):
        audit.write_now(EVENT._replace(fail_open=True))
    audit.write(EVENT)
    paper.problem = None
    wait_until(lambda: log.of("audit.recovered") and audit.flush())
    assert [json.loads(line)["fail_open"] for line in paper.lines] == [False]
    audit.close()


def test_a_stuck_disk_holds_the_loop_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authproxy.observe.audit._PATIENCE", 0.01)
    log = Remembered()
    audit, paper = failing(tmp_path, log, monkeypatch)
    paper.problem = None
    paper.free.clear()
    for _ in range(3):
        with pytest.raises(AuditUnavailable, match="no answer"):
            audit.write_now(EVENT)
    paper.free.set()
    wait_until(audit.flush)
    assert len(log.of("audit.unavailable")) == 1
    audit.close()


def test_what_is_missing_is_said_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Remembered()
    audit, paper = failing(tmp_path, log, monkeypatch)
    audit.writer._capacity = 2
    audit.write(EVENT)
    wait_until(lambda: log.of("audit.unavailable"))
    for _ in range(5):
        audit.write(EVENT)
    lost = audit.writer.lost
    paper.problem = None
    wait_until(lambda: log.of("audit.recovered"))
    assert log.events[0][:2] == ("error", "audit.unavailable")
    assert log.of("audit.recovered")[0]["lost"] == lost
    assert lost + len(paper.lines) - 1 == 6
    gap = json.loads(paper.lines[-1])
    assert (gap["lost"], gap["status"]) == (lost, "Error")
    assert gap["msg"] == f"{lost} events before this one are missing: No space left on device"
    audit.close()


def test_it_turns_over(tmp_path: Path) -> None:
    audit = made(tmp_path / "authevents.log", max_size=2000, max_files=2)
    for _ in range(20):
        audit.write_now(EVENT)
    audit.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "authevents.log",
        "authevents.log.1",
        "authevents.log.2",
    ]
    for path in tmp_path.iterdir():
        assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditUnusable, match=r"authevents\.log: Not a directory"):
        made(tmp_path / "file" / "log" / "authevents.log")


def test_without_a_file_the_log_is_the_record() -> None:
    paper, log = Paper(), EventLog()
    audit = AuditInLog(log, hostname="proxy1")
    audit.write(EVENT)
    with pytest.raises(AuditUnavailable, match="no log is on"):
        audit.write_now(EVENT)
    log.add("paper", paper, lambda event: as_text(event).encode())
    audit.write_now(EVENT._replace(fail_open=True))
    (line,) = paper.lines
    assert b"warn audit.let_in_by_fail_open" in line
    assert b"fail_open=true" in line
    paper.problem = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(AuditUnavailable, match="paper: No space left"):
        audit.write_now(EVENT)
    log.close()
