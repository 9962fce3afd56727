"""python -m tests.fuzz [--short | --seconds N] [--seed N] [TARGET …]   a line a target; 1 when one found something.

--short is a minute for all of them together. The seed is printed: the same one makes the same inputs.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence

from tests.fuzz.targets import TARGETS

_SHORT = 60.0  # seconds, all targets together


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("target", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--short", action="store_true", help="a minute in all")
    parser.add_argument("--seconds", type=float, help="for each target")
    parser.add_argument("--seed", type=int, help="default: another each time")
    options = parser.parse_args(arguments)
    names = options.target or list(TARGETS)
    for name in names:
        if name not in TARGETS:
            parser.error(f"no target {name}: there are {', '.join(TARGETS)}")
    each = options.seconds or _SHORT / len(names)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    found = False
    for name in names:
        report = TARGETS[name](each, seed)
        print(report, flush=True)
        for finding in report.findings:
            found = True
            print(f"  {finding}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
