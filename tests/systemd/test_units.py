"""S9: the unit's exposure, measured by systemd itself; and what its numbers have to be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from authproxy.config.model.main import Main
from tests.system.parts.needs import needs

UNITS = Path(__file__).resolve().parents[2] / "systemd"
UNIT = (UNITS / "authproxy.service").read_text()


def setting(name: str) -> str:
    """The one value of a setting."""
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(value)


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., Path]:
    def install(*drop_ins: str) -> Path:
        unit = tmp_path / "authproxy.service"
        unit.write_text(UNIT.replace("/opt/authproxy/bin/authproxy", "/bin/true"))
        for name in drop_ins:
            folder = tmp_path / "authproxy.service.d"
            folder.mkdir()
            (folder / name).write_text((UNITS / name).read_text())
        return unit

    return install


def analyze(verb: str, unit: Path, *options: str) -> str:
    done = subprocess.run(
        [needs("systemd-analyze", "systemd"), verb, *options, unit],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + "".join(line for line in done.stderr.splitlines(True) if unit.name in line)


@pytest.mark.parametrize(("drop_ins", "most"), [((), 1.5), (("low-ports.conf",), 1.7)])
def test_exposure(installed: Callable[..., Path], drop_ins: tuple[str, ...], most: float) -> None:
    said = analyze("security", installed(*drop_ins), "--offline=yes", "--no-pager")
    level = re.search(r"Overall exposure level for authproxy.service: ([\d.]+)", said)
    assert level, said
    assert float(level[1]) <= most


def test_it_is_a_valid_unit(installed: Callable[..., Path]) -> None:
    assert analyze("verify", installed(), "--man=no") == ""


def test_its_numbers_fit_the_defaults() -> None:
    """A12: systemd waits for longer than we drain; an invalid configuration isn't tried again and again."""
    assert int(setting("TimeoutStopSec")) >= Main.model_fields["drain_timeout"].default + 10
    assert setting("Type") == "notify"
    assert int(setting("WatchdogSec")) > 0
    assert setting("RestartPreventExitStatus") == "2"
    assert setting("LimitNOFILE") == "65536"
    assert setting("LimitCORE") == "0"


def test_nothing_that_breaks_tls() -> None:
    """Seen: pyOpenSSL's callbacks need memory that is made executable at run time."""
    assert not re.search(r"^MemoryDenyWriteExecute=yes", UNIT, re.MULTILINE)
