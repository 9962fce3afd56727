"""python -m tests.mutants [--short | ITEM …] [--workers N] [--list]   a line a mutation; 1 when one wasn't noticed."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutation import Mutation
from tests.mutants.registry import ITEMS, MUTATIONS, SHORT
from tests.mutants.runner import Verdict, run, unbroken


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("item", nargs="*", metavar="ITEM", help="requirements, such as R14; default: all")
    parser.add_argument("--short", action="store_true", help="a handful, in less than a minute")
    parser.add_argument("--workers", type=int, default=2, help="copies of the tree at once (default 2)")
    parser.add_argument("--list", action="store_true", help="what would run")
    options = parser.parse_args(arguments)
    for name in set(options.item) - {item.number for item in ITEMS}:
        parser.error(f"no requirement {name}")
    chosen = _chosen(set(options.item) or (SHORT if options.short else set()))
    if options.list:
        for mutation in chosen:
            print(mutation.name)
        return 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        problem = unbroken(chosen, Path(scratch))
    if problem is not None:
        print(problem)
        print("these tests don't all pass, or some were skipped, with nothing broken: they can't judge")
        return 1
    missed = 0
    for outcome in run(chosen, max(1, options.workers)):
        print(f"{outcome.verdict.value:9} {outcome.mutation.name}", flush=True)
        if outcome.verdict is not Verdict.NOTICED:
            missed += 1
            print(outcome.said, flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} noticed")
    return 1 if missed else 0


def _chosen(items: set[str] | frozenset[str]) -> list[Mutation]:
    return [mutation for mutation in MUTATIONS if not items or items & set(mutation.items)]


if __name__ == "__main__":
    sys.exit(main())
