"""`authproxy primary-only`: what it orders, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.backends.primary_only import FILE_NAME, read
from authproxy.backends.state_dir import lasting_key
from authproxy.cli import main
from tests.config.files import DIRECTORY, SERVER, written

SAFE = SERVER + "  failmode: safe\n  name: vpn\n"
SECURE = SERVER.replace("radius_server_auto", "radius_server_auto2") + "  name: wall\n  port: 1813\n"
ALONE = SERVER.replace("radius_server_auto", "radius_server_duo_only") + "  failmode: safe\n  port: 1814\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "state").mkdir()
    lasting_key(tmp_path / "state" / "key")
    text = f"main:\n  state_dir: {tmp_path}/state\n" + DIRECTORY + SAFE + SECURE + ALONE
    return str(written(tmp_path, text))


def ordered(config: str) -> tuple[int, tuple[str, ...]] | None:
    folder = Path(config).parent / "state"
    order = read(folder / FILE_NAME, lasting_key(folder / "key"))
    return None if order is None else (order.minutes, order.sections)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (60, ())),
        (["--minutes", "240"], (240, ())),
        (["-t", "1"], (1, ())),
        (["--expiration-time", "5", "--non-interactive"], (5, ())),
        (["--section", "vpn"], (60, ("vpn",))),
    ],
)
def test_ordered(
    config: str, arguments: list[str], expected: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["primary-only", "-c", config, *arguments]) == 0
    assert "for vpn; `--stop` ends it" in capsys.readouterr().out
    assert ordered(config) == expected
    assert main(["primary-only", "-c", config, "--status"]) == 0
    assert capsys.readouterr().out.startswith("on until ")
    assert main(["primary-only", "-c", config, "--stop"]) == 0
    assert ordered(config) is None


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("wall", "wall doesn't have failmode: safe"),
        ("radius_server_duo_only", "only in sections with failmode: safe that check a password"),
        ("vpm", "did you mean vpn?"),
    ],
)
def test_not_for_this_section(
    config: str, section: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["primary-only", "-c", config, "--section", "vpn", "--section", section]) == 1
    assert expected in capsys.readouterr().err
    assert ordered(config) is None


def test_no_safe_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = written(tmp_path, f"main:\n  state_dir: {tmp_path}\n" + DIRECTORY + SECURE)
    assert main(["primary-only", "-c", str(config)]) == 1
    assert "no section has failmode: safe" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "241", "-1", "1.5", "forever", "٣"])
def test_never_for_so_long(config: str, minutes: str) -> None:
    with pytest.raises(SystemExit):
        main(["primary-only", "-c", config, f"--minutes={minutes}"])
    assert ordered(config) is None


def test_where_no_proxy_has_run(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A key made here might be root's, and the proxy could not read it."""
    key = Path(config).parent / "state" / "key"
    key.unlink()
    assert main(["primary-only", "-c", config]) == 1
    assert "no proxy has been started" in capsys.readouterr().err
    assert not key.exists()


@pytest.mark.parametrize(("typed", "expected"), [("yes", 0), ("no", 1), ("", 1)])
def test_asked_on_a_terminal(
    config: str,
    typed: str,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: typed)
    assert main(["primary-only", "-c", config]) == expected
    assert (ordered(config) is not None) is (expected == 0)
    assert "a correct password alone will be enough in vpn" in capsys.readouterr().out
