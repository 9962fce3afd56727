"""What is promised to last, lasts; what can't be read is said, not guessed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from authproxy.backends.state_dir import LastingSet, StateUnusable, lasting_key, open_state_dir


def test_names_last(tmp_path: Path) -> None:
    first = LastingSet(tmp_path / "latches.json")
    first.add("vpn/10.0.0.0/8")
    first.add("ünïcode")
    again = LastingSet(tmp_path / "latches.json")
    assert "vpn/10.0.0.0/8" in again
    assert "ünïcode" in again
    assert "other" not in again
    assert stat.S_IMODE((tmp_path / "latches.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["latches.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version":2,"names":[]}', b'{"version":1,"names":[1]}', b"[" * 100_000],
)
def test_a_damaged_file_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """Reading it as empty would forget who has to send a Message-Authenticator."""
    (tmp_path / "latches.json").write_bytes(content)
    with pytest.raises(StateUnusable, match=r"latches\.json"):
        LastingSet(tmp_path / "latches.json")


def test_a_name_counts_even_when_the_disk_fails(tmp_path: Path) -> None:
    names = LastingSet(tmp_path / "gone" / "latches.json")
    with pytest.raises(OSError, match="gone"):
        names.add("vpn")
    assert "vpn" in names


def test_the_key_lasts(tmp_path: Path) -> None:
    key = lasting_key(tmp_path / "key")
    assert len(key) == 32
    assert lasting_key(tmp_path / "key") == key
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(StateUnusable):
        lasting_key(tmp_path / "key")


def test_no_folder_no_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="state_dir"):
        open_state_dir(tmp_path / "file" / "state")
    assert open_state_dir(tmp_path / "new").is_dir()
