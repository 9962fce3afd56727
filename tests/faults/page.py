"""docs/faults.md: by class and stage, what each mode does; written from a whole, green run."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.catalogue import FAULTS, Made, Stage
from tests.faults.cells import Cell, cells, combinations, impossible
from tests.faults.expected import CLASSES, Mode, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
SOAK = Path(__file__).parents[1] / "soak" / "result.md"

_SOAK = """\
## Hours of it

`tests/soak` keeps one daemon busy with logins over RADIUS and LDAP, right ones, wrong ones, denied ones and junk, in
each mode. Every minute something breaks for twenty seconds: the cloud, the directory, or a reload comes. In calm every
login has to come to what it must; beside a fault the oracles judge, each minute, who was let in.

Before it, what has a bound that hours wouldn't reach is filled: the last 500 logins behind an open door, and the places
and names of each user. Each minute, while no login runs, the daemon is reloaded, and tells from within
how much of its memory is in use, by Python and by C, behind a search for garbage. That may grow by 0.5 MB an hour: a
leak of 40 octets a login is more, and so is one of 10 KB a reload. Memory as a whole holds also what the allocators
keep from the busiest moment so far. It grows more slowly with each hour, and alone is no sign of a leak; its limit is
3 MB an hour.
"""

_HEAD = """\
# Every way in which the cloud can fail

What the daemon does with each failure of the cloud, at each stage of a login: not as it was meant, but as it was
played. `tests/faults` starts the daemon, a cloud for each cell of the matrix below, breaks that cloud at its socket,
its name or its answer, logs in, and compares with the contract ([outage.md](outage.md)): the decision, its reason and
class in the audit, the answer on the wire, how often the directory was asked, and how many pushes were sent. Behind all
of it stand two oracles: nobody was let in without both factors or an audited open door, and no secret was written
anywhere. This page is written from a run in which every cell came to what the table says, and a test compares it with
the table at every change.

    .venv/bin/python -m tests.faults                 # all cells, some ten minutes
    .venv/bin/python -m tests.faults --short         # each fault at each stage once, a minute
    .venv/bin/python -m tests.faults --only "a black hole" "in auth" --report report.md
    .venv/bin/python -m tests.faults --page          # all cells, then this page

It needs nothing installed and no rights; 16,384 file descriptors (`ulimit -Hn`) are enough.
"""

_STAGES = """\
## The stages

| stage | the fault is met |
|---|---|
| before preauth | by connecting: nothing has been asked yet, and the independent probe meets it, too |
| in preauth | in the answer to preauth, and to everything else that is asked meanwhile |
| in preauth alone | in the answer to preauth only: the probe finds the cloud well |
| between preauth and auth | by connecting anew, when preauth has said that a factor is due |
| in auth | in the answer to auth: the push may be on its way |
| while polling | by whatever asks what the user said |
"""


_KEY = (
    "By failure class (`cause` in the audit) and stage; in brackets the number of cells. *open*: Accept, reason "
    "`fail_open`. *closed*: Reject, `fail_closed`. *refused*: Reject, `cloud_refused`. *silence*: no answer, on record "
    "as `fail_closed`. *in*: Accept by both factors. LDAP answers 0 for an Accept, 52 for *closed* and *refused*, 49 "
    "for `factor_timeout`."
)
_TWO_WORDS = (
    "Where a row has two words: a name that resolved a moment ago is not looked up anew, and one lost poll, or one 5xx "
    "in preauth, is borne (*in*); a poll that is held until the push's life is over is a user who doesn't answer "
    "(`factor_timeout`)."
)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 120, break_on_hyphens=False)) + "\n"


def page() -> str:
    played = cells()
    parts = [_HEAD, _counts(played), _STAGES, _outcomes(played), _faults(), _impossible(), _soak()]
    return "\n".join(parts)


def _counts(played: Sequence[Cell]) -> str:
    axes = "{count} faults × {stages} stages × 3 modes × 3 clients (RADIUS auto, RADIUS challenge, LDAP) × 2 factors"
    total = sum(1 for _ in combinations())
    return _wrapped(
        f"{axes.format(count=len(FAULTS), stages=len(Stage))} make {total} combinations: **{len(played)} cells**, "
        f"each played, and {total - len(played)} that can't be, for the reasons at the end."
    )


def _outcomes(played: Sequence[Cell]) -> str:
    lines = [
        "## What each mode does",
        "",
        _wrapped(_KEY),
        "| class | stage | safe | secure | silent |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(CLASSES.values()):
        for stage in Stage:
            here = [cell for cell in played if CLASSES[cell.fault.name] == name and cell.stage is stage]
            if here:
                row = " | ".join(_words(cell for cell in here if cell.mode is mode) for mode in Mode)
                lines.append(f"| {f'`{name}`' if name else 'none: only slow'} | {stage} | {row} |")
    return "\n".join([*lines, ""])


def _words(some: Iterable[Cell]) -> str:
    counts = Counter(_word(cell.expected) for cell in some)
    return ", ".join(f"{word} ({count})" for word, count in counts.items())


def _word(expected: Outcome) -> str:
    if expected.heard == "nothing":
        return "silence"
    words = {
        "both_factors": "in",
        "fail_open": "**open**",
        "fail_closed": "closed",
        "cloud_refused": "refused",
        "factor_timeout": "rejected, `factor_timeout`",
    }
    return words[expected.reason]


def _faults() -> str:
    lines = [
        _wrapped(_TWO_WORDS),
        "## The faults",
        "",
        "| made by | class | faults |",
        "|---|---|---|",
    ]
    for made in Made:
        for name in dict.fromkeys(CLASSES.values()):
            names = [
                fault.name for fault in FAULTS.values() if fault.made is made and CLASSES[fault.name] == name
            ]
            if names:
                lines.append(f"| {made} | {f'`{name}`' if name else 'none'} | {'; '.join(names)} |")
    return "\n".join([*lines, ""])


def _impossible() -> str:
    counts = Counter(why for each in combinations() if (why := impossible(*each)))
    lines = ["## What can't be played", "", "| combinations | why |", "|---|---|"]
    lines += [f"| {count} | {why} |" for why, count in counts.most_common()]
    return "\n".join([*lines, ""])


def _soak() -> str:
    """What the last long run came to, as `--report` wrote it; kept by hand, as a run takes its time."""
    return f"{_SOAK}\n{SOAK.read_text()}"


def report(results: Iterable[tuple[str, list[str]]], seconds: float) -> str:
    """Each cell of a run, the wrong ones first."""
    ordered = sorted(results, key=lambda result: (not result[1], result[0]))
    wrong = sum(bool(problems) for _, problems in ordered)
    lines = [
        f"{len(ordered)} cells in {seconds:.0f} s, {wrong} wrong",
        "",
        "| fault | stage | mode | client | factor | |",
        "|---|---|---|---|---|---|",
    ]
    for name, problems in ordered:
        lines.append(f"| {' | '.join(name.split(' / '))} | {'; '.join(problems) or 'as expected'} |")
    return "\n".join([*lines, ""])
