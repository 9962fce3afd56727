"""python -m tests.bench: measures authproxy beside its peers; exits 1 when a floor is missed.

python -m tests.bench                    all rows, 7 interleaved rounds, some 12 minutes
python -m tests.bench --short            a minute: wrong answers and gross regressions only
python -m tests.bench --only freeradius latency --rounds 9
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping

from tests.bench import report, selfcheck
from tests.bench.figures import Figure, Verdict, exactly
from tests.bench.measure import Meter
from tests.bench.rig import Rig
from tests.bench.rows import (
    Plan,
    answers,
    cloud,
    footprint,
    latency,
    nodes,
    overload,
    pending,
    proxying,
    relay,
    relay_alone,
    retransmits,
    throughput,
)
from tests.bench.tools import WORK, Unbuildable, WrongAnswer

ROWS: Mapping[str, Callable[[Plan], list[Figure]]] = {
    "answers": answers.measure,
    "proxying": proxying.measure,
    "freeradius": throughput.against_freeradius,
    "naive": throughput.against_naive,
    "pending": pending.measure,
    "retransmits": retransmits.measure,
    "latency": latency.measure,
    "footprint": footprint.measure,
    "overload": overload.measure,
    "relay": relay.measure,
    "cloud": cloud.measure,
    "nodes": nodes.measure,
    "relay-alone": relay_alone.measure,
}


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="wrong answers and gross regressions only")
    parser.add_argument(
        "--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME", help=", ".join(ROWS)
    )
    parser.add_argument("--rounds", type=int, help="interleaved rounds (7; in the short form 2)")
    parser.add_argument("--no-selfcheck", action="store_true", help="believe the tools")
    return parser.parse_args(argv)


def measure(plan: Plan, names: list[str]) -> list[Figure]:
    """A row that fails is a figure, too: the others are still worth knowing."""
    figures: list[Figure] = []
    for name in names:
        began = time.monotonic()
        try:
            found = ROWS[name](plan)
        except (WrongAnswer, RuntimeError) as problem:
            print(f"{name}: {problem}", file=sys.stderr)
            found = [Figure(0, f"{name} could be measured", 0, goal=exactly(1), remark=_first_line(problem))]
        figures += found
        print(
            f"\n{name}, {time.monotonic() - began:.0f} s\n{report.plain(found, short=plan.short)}", flush=True
        )
    return figures


def _first_line(problem: Exception) -> str:
    return str(problem).splitlines()[0][:120]


def main(argv: list[str]) -> int:
    options = arguments(argv)
    rounds = options.rounds or (2 if options.short else 7)
    with Rig(WORK / "run", users=1000 if options.short else 10_000) as rig:
        try:
            speeds = None if options.no_selfcheck else selfcheck.check(rig)
        except Unbuildable as problem:
            print(problem, file=sys.stderr)
            return 1
        meter = Meter(rig, patience=0 if options.short else 5)
        figures = measure(Plan(rig, meter, rounds, options.short), options.only)
    report.write(WORK, figures, meter, speeds, short=options.short)
    missed = [figure for figure in figures if figure.verdict(short=options.short) is Verdict.MISSED]
    print(f"\n{report.noise(meter)}\nwritten: {WORK.name}/result.md, {WORK.name}/result.json")
    for figure in missed:
        print(f"below the floor: {figure.row}  {figure.what}: {report.number(figure.value)} {figure.unit}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
