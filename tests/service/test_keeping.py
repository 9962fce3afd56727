"""What changes with every packet is saved seldom, by a thread, and read again; a broken file costs the report only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from authproxy.listeners.radius.signers import Signers
from authproxy.service import keeping
from authproxy.service.keeping import Keeper, read_signers
from tests.observe.fakes import Remembered


class Kept:
    def __init__(self, path: Path) -> None:
        self.log, self.signers, self.path = Remembered(), Signers(), path
        self.pending: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self.keeper = Keeper(
            self.signers, path, self.log, back=lambda *call: self.pending.append((call[0], call[1:]))
        )

    def ended(self) -> None:
        """The thread has, and the loop hears of it."""
        while not self.pending:
            pass
        function, arguments = self.pending.pop()
        function(*arguments)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "report.json")


def test_saved_and_read(kept: Kept) -> None:
    kept.keeper.look(100.0)
    assert not kept.pending
    kept.signers.signed("asa")
    kept.keeper.look(100.0)
    kept.ended()
    assert read_signers(kept.path, kept.log).of("asa").signed_since > 0
    assert kept.path.stat().st_mode & 0o077 == 0
    kept.signers.signed("asa")
    kept.keeper.look(110.0)
    assert not kept.pending  # `last seen` can wait
    kept.signers.unsigned("asa")
    kept.keeper.look(111.0)
    kept.ended()
    assert read_signers(kept.path, kept.log).of("asa").unsigned_at > 0
    kept.signers.signed("forti")
    kept.keeper.close()
    assert read_signers(kept.path, kept.log).of("forti").signed_at > 0
    assert kept.log.events == []


def test_one_at_a_time(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs."""
    kept.signers.signed("asa")
    kept.keeper.look(100.0)
    while not kept.pending:
        pass
    kept.signers.unsigned("asa")
    kept.keeper.look(1000.0)
    assert len(kept.pending) == 1


def test_a_full_disk(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping, "replace_file", full)
    kept.signers.signed("asa")
    kept.keeper.look(100.0)
    kept.ended()
    assert [event for _, event, _ in kept.log.events] == ["state.report_not_written"]
    monkeypatch.undo()
    kept.keeper.look(200.0)
    kept.ended()
    assert kept.path.exists()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"version": 9, "clients": {}}', '{"version": 1, "clients": [1]}', "[" * 100_000],
)
def test_another_file(kept: Kept, content: str) -> None:
    kept.path.write_text(content)
    assert read_signers(kept.path, kept.log).state() == {}
    assert [event for _, event, _ in kept.log.events] == ["state.report_unreadable"]
    assert kept.path.read_text() == content
