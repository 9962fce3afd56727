"""docs/proof.md from the registry: `python -m tests.mutants.proof > docs/proof.md`."""

from __future__ import annotations

import sys

from tests.mutants.registry import ELSEWHERE, ITEMS, MUTATIONS

_HEAD = """\
# What proves it

Each requirement that guards against a bypass (critical) or against an outage or a loss (high), the check that keeps
it as it would look taken out, and the test that fails then. Nothing here is by belief: the command takes each check
out, one at a time, in a copy of the tree, and expects its tests to fail.

    .venv/bin/python -m tests.mutants            # all
    .venv/bin/python -m tests.mutants R16 F5     # some

This page is generated from `tests/mutants/`: `python -m tests.mutants.proof > docs/proof.md`.

| | asks for | taken out | noticed by |
|---|---|---|---|
"""


def page() -> str:
    """The whole page, as Markdown."""
    return _HEAD + "".join(
        f"{row}\n" for item in ITEMS for row in _rows(item.number, item.severity, item.asks)
    )


def _rows(number: str, severity: str, asks: str) -> list[str]:
    head = f"| {number} {severity} | {asks} "
    rows = []
    for mutation in MUTATIONS:
        if number in mutation.items:
            tests = "<br>".join(f"`{test.partition('[')[0]}`" for test in mutation.tests)
            rows.append(f"{head}| {mutation.broken} | {tests} |")
            head = "| | "
    rows += [f"{head}| – | {entry.why} |" for entry in ELSEWHERE if entry.item == number]
    return rows


if __name__ == "__main__":
    sys.stdout.write(page())
