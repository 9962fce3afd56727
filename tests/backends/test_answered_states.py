"""Challenges that are over stay so, over a restart and a damaged file (R40)."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.backends.answered_states import AnsweredStates
from authproxy.observe.log import NullLog
from tests.pipeline.fakes import WallClock

ONE, OTHER = b"\0" * 8, b"\xff" * 8


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path / "challenges-answered"
        self.clock = WallClock()

    def start(self) -> AnsweredStates:
        return AnsweredStates(self.path, NullLog(), wall_clock=self.clock)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_over_a_restart(folder: Folder) -> None:
    first = folder.start()
    assert (first.known, first.none_before) == ({}, 0)
    first.add(ONE, int(folder.clock.now) + 300)
    first.add(OTHER, int(folder.clock.now) + 10)
    folder.clock.now += 100
    assert folder.start().known == {ONE: 1_000_300, OTHER: 1_000_010}, "the clock may be set back"
    folder.clock.now += 100
    assert folder.start().known == {ONE: 1_000_300}
    assert folder.path.stat().st_mode & 0o777 == 0o600


def test_files_turn_over_and_lose_nothing_that_counts(folder: Folder) -> None:
    states = folder.start()
    for number in range(40):
        states.add(number.to_bytes(8, "big"), int(folder.clock.now) + 300)
        folder.clock.now += 60
    folder.clock.now -= 60
    assert set(folder.start().known) == {number.to_bytes(8, "big") for number in range(33, 40)}
    assert len(list(folder.path.parent.iterdir())) == 2
    assert sum(len(file.read_bytes().splitlines()) for file in folder.path.parent.iterdir()) <= 20


def test_a_line_that_a_crash_cut_short(folder: Folder) -> None:
    folder.start().add(ONE, 1_000_300)
    with folder.path.open("ab") as file:
        file.write(b"1000300 ff")
    again = folder.start()
    assert (again.known, again.none_before) == ({ONE: 1_000_300}, 0)
    again.add(OTHER, 1_000_300)
    assert folder.start().known == {ONE: 1_000_300, OTHER: 1_000_300}


@pytest.mark.parametrize("content", [b"?\n", b"1000300 0\n", b"\n", b"-1 0000000000000000\n"])
def test_what_can_t_be_read_is_nobody_s_to_answer(folder: Folder, content: bytes) -> None:
    folder.path.write_bytes(content)
    assert folder.start().none_before == 1_000_001


def test_a_folder_in_its_place(folder: Folder) -> None:
    folder.path.mkdir()
    states = folder.start()
    assert states.none_before == 1_000_001
    states.add(ONE, 1_000_300)


def test_a_full_disk_holds_nobody_up(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    states = folder.start()
    monkeypatch.setattr("os.write", lambda descriptor, octets: 0)
    states.add(ONE, 1_000_300)
    monkeypatch.undo()
    states.add(OTHER, 1_000_300)
    assert folder.start().known == {OTHER: 1_000_300}
