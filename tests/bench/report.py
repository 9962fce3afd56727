"""What was found, for eyes (a table), for the documentation (Markdown), for machines (JSON)."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.measure import CALM, Meter
from tests.bench.peers import freeradius
from tests.bench.selfcheck import Speeds

_HEADINGS = ("row", "what", "figure", "floor", "target", "verdict", "remark")


def number(value: float) -> str:
    if math.isnan(value):
        return "–"
    if value == round(value) and abs(value) < 1000:
        return f"{value:.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}"


def cells(figure: Figure, *, short: bool) -> tuple[str, ...]:
    value = f"{number(figure.value)} {figure.unit}".strip()
    if figure.spread and figure.spread[0] != figure.spread[1]:
        value += f" [{number(figure.spread[0])}..{number(figure.spread[1])}]"
    goal = figure.goal
    floor, target = (number(goal.floor), number(goal.target)) if goal else ("", "")
    return (
        str(figure.row),
        figure.what,
        value,
        floor,
        target,
        figure.verdict(short=short).value,
        figure.remark,
    )


def plain(figures: Sequence[Figure], *, short: bool) -> str:
    rows = [_HEADINGS, *(cells(figure, short=short) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(figures: Sequence[Figure], *, short: bool) -> str:
    lines = ["| " + " | ".join(_HEADINGS) + " |", "|" + "---|" * len(_HEADINGS)]
    lines += ["| " + " | ".join(cells(figure, short=short)) + " |" for figure in figures]
    return "\n".join(lines) + "\n"


def machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "freeradius": freeradius.version(),
    }


_PACKAGES = ("authproxy", "Twisted", "pyOpenSSL", "cryptography", "httptools", "pyrad", "ldap3", "requests")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def noise(meter: Meter) -> str:
    """How disturbed the samples were."""
    others = [sample.others for row in meter.samples.values() for sample in row]
    if not others:
        return ""
    disturbed = sum(1 for cores in others if cores > CALM)
    return (
        f"{disturbed} of {len(others)} samples were taken while others used more than {CALM} of a core "
        f"(at most {max(others):.2f})"
    )


def write(
    folder: Path, figures: Sequence[Figure], meter: Meter, speeds: Speeds | None, *, short: bool
) -> None:
    """result.json and result.md."""
    (folder / "result.md").write_text(markdown(figures, short=short))
    told = {
        "short": short,
        "machine": machine(),
        "tools": None if speeds is None else {name: getattr(speeds, name) for name in speeds.__slots__},
        "noise": noise(meter),
        "figures": [_told(figure, short=short) for figure in figures],
        "samples": {row: [sample.told() for sample in samples] for row, samples in meter.samples.items()},
    }
    (folder / "result.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def _told(figure: Figure, *, short: bool) -> dict[str, object]:
    goal = figure.goal
    return {
        "row": figure.row,
        "what": figure.what,
        "value": None if math.isnan(figure.value) else figure.value,
        "unit": figure.unit,
        "floor": goal.floor if goal else None,
        "target": goal.target if goal else None,
        "verdict": figure.verdict(short=short).value,
        "spread": figure.spread,
        "remark": figure.remark,
    }
