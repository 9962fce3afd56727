"""The local syslog and the journal, played by sockets of our own; a reader that stops stops nobody."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from authproxy.observe import outlets
from authproxy.observe.lines import Event, Severity, as_message
from authproxy.observe.outlets import (
    DatagramOutlet,
    DescriptorOutlet,
    SyslogFormat,
    journal_format,
    leads_nowhere,
)

EVENT = Event(
    1_738_324_800.0, Severity.WARN, "radius.discarded", {"cause": "code", "user": "a\nPRIORITY=0", "x": None}
)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "log"))
        sock.settimeout(5)
        yield sock


def test_syslog_form(monkeypatch: pytest.MonkeyPatch) -> None:
    line = SyslogFormat("LOG_LOCAL3", pid=42)(EVENT, as_message(EVENT)).decode()
    head = re.fullmatch(r"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d authproxy\[42\]: (.*)", line)
    assert head
    assert int(head[1]) == 19 * 8 + 4
    assert head[2] == r'radius.discarded cause=code user="a\nPRIORITY=0" x=null'
    with pytest.raises(KeyError):
        SyslogFormat("LOG_NONSENSE")


def test_journal_form() -> None:
    """No value ends early: a newline in one begins no field."""
    octets, fields = journal_format(EVENT), {}
    while octets:
        name, _, octets = octets.partition(b"\n")
        length = int.from_bytes(octets[:8], "little")
        fields[name.decode()] = octets[8 : 8 + length].decode()
        assert octets[8 + length :][:1] == b"\n"
        octets = octets[9 + length :]
    assert fields == {
        "MESSAGE": r'radius.discarded cause=code user="a\nPRIORITY=0" x=null',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "authproxy",
        "AUTHPROXY_EVENT": "radius.discarded",
        "AUTHPROXY_CAUSE": "code",
        "AUTHPROXY_USER": "a\nPRIORITY=0",
    }


def test_a_datagram_a_line(reader: socket.socket, tmp_path: Path) -> None:
    outlet = DatagramOutlet(str(tmp_path / "log"))
    assert outlet.write([b"one", b"", b"two"]) == 3
    assert [reader.recv(100), reader.recv(100)] == [b"one", b"two"]
    outlet.close()


def test_a_restarted_reader_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.bind(str(path))
    outlet = DatagramOutlet(str(path))
    outlet.write([b"one"])
    first.close()
    with pytest.raises(ConnectionRefusedError):
        outlet.write([b"lost"])
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
        second.bind(str(path))
        second.settimeout(5)
        assert outlet.write([b"two"]) == 1
        assert second.recv(100) == b"two"
    outlet.close()


def test_a_stopped_reader_costs_a_moment(
    reader: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlets, "_PATIENCE", 0.02)
    outlet = DatagramOutlet(str(tmp_path / "log"))
    taken = outlet.write([b"x" * 1000] * 1000)
    assert 0 < taken < 1000
    with pytest.raises(OSError, match="not being read"):
        outlet.write([b"x" * 1000] * 1000)
    for _ in range(taken):
        reader.recv(2000)
    assert outlet.write([b"again"]) == 1
    outlet.close()


def test_what_is_too_long_for_a_datagram_holds_nothing_up(reader: socket.socket, tmp_path: Path) -> None:
    outlet = DatagramOutlet(str(tmp_path / "log"))
    assert outlet.write([b"x" * 4_000_000, b"next"]) == 2
    assert reader.recv(100) == b"next"
    outlet.close()


def test_standard_output_may_be_non_blocking() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    child = subprocess.Popen(["wc", "-c"], stdin=read_end, stdout=subprocess.PIPE)
    os.close(read_end)
    assert DescriptorOutlet(write_end).write([b"x" * 1000] * 1000) == 1000
    os.close(write_end)
    assert child.communicate(timeout=10)[0].strip() == b"1000000"


def test_standard_output_that_is_gone() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with pytest.raises(BrokenPipeError):
        DescriptorOutlet(write_end).write([b"x"])
    os.close(write_end)


def test_where_a_descriptor_leads() -> None:
    """F8: what goes to /dev/null was written, and is no record of anything."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    assert leads_nowhere(nowhere)
    read_end, write_end = os.pipe()
    assert not leads_nowhere(write_end)
    for descriptor in (nowhere, read_end, write_end):
        os.close(descriptor)
    assert leads_nowhere(nowhere), "closed"
