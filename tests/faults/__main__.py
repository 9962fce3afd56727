"""python -m tests.faults: every fault at every stage, in each mode, by each client, with each factor.

python -m tests.faults                    all cells, some minutes
python -m tests.faults --short            each fault at each stage once, within a minute
python -m tests.faults --only "black hole" "in auth"    the cells whose name has all of these
python -m tests.faults --page             all cells, then docs/faults.md anew
"""

from __future__ import annotations

import argparse
import collections
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.faults import page
from tests.faults.cells import Cell, batches, cells, combinations, impossible, sample
from tests.faults.matrix import Matrix
from tests.system.bench.daemon import use_ports_of

BATCH = 200  # sections in one daemon
SHORT = 14  # of so many cells of a fault at a stage, one
DESCRIPTORS = 16_384

Result = tuple[str, list[str]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="each fault at each stage once")
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", help="the cells with all of these in their names"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="what each cell came to, as Markdown")
    parser.add_argument("--page", action="store_true", help="write docs/faults.md from a whole, green run")
    parser.add_argument("--jobs", type=int, default=2, help="daemons at a time")
    options = parser.parse_args(arguments)
    chosen = sample(SHORT) if options.short else cells()
    if options.only:
        chosen = [cell for cell in chosen if all(word in str(cell) for word in options.only)]
    began = time.monotonic()
    results = play(chosen, options.jobs)
    wrong = [(name, problems) for name, problems in results if problems]
    for name, problems in wrong:
        print(f"WRONG {name}\n  " + "\n  ".join(problems))
    for reason, count in collections.Counter(impossible(*each) for each in combinations()).items():
        print(f"{count:5} {reason or 'cells'}")
    seconds = time.monotonic() - began
    print(f"{len(results)} cells played in {seconds:.0f} s, {len(wrong)} wrong")
    if options.report:
        options.report.write_text(page.report(results, seconds))
    if options.page:
        if wrong or len(results) != len(cells()):
            print("docs/faults.md is left as it is: it is written from a whole and green run")
            return 1
        page.PAGE.write_text(page.page())
    return 1 if wrong else 0


def play(chosen: list[Cell], jobs: int) -> list[Result]:
    """The name and the problems of each, in no order."""
    results: list[Result] = []
    parts = batches(chosen, BATCH)
    with ProcessPoolExecutor(jobs) as processes:
        for number, batch in enumerate(processes.map(play_batch, range(len(parts)), parts), 1):
            results += batch
            bad = sum(bool(problems) for _, problems in batch)
            print(f"batch {number} of {len(parts)}: {len(batch)} cells, {bad} wrong", flush=True)
    return results


def play_batch(number: int, batch: list[Cell]) -> list[Result]:
    """In a process and a daemon of their own. What the oracles object to counts against all of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(DESCRIPTORS, hard)), hard))
    use_ports_of(2 + number)
    with tempfile.TemporaryDirectory(prefix=f"faults-{number}-") as folder:
        world = Matrix(Path(folder), batch)
        try:
            played = world.play()
        except BaseException:
            print("\n".join(f"{name}:\n{text}" for name, text in world.story()))
            raise
        finally:
            objection = ""
            try:
                world.close()
            except AssertionError as objected:
                objection = f"the oracles: {objected}"
        return [
            (str(running.cell), running.problems + ([objection] if objection else [])) for running in played
        ]


if __name__ == "__main__":
    sys.exit(main())
