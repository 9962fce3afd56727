"""The matrix: every combination, each either a cell or impossible for a reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from authproxy.pipeline.fail_mode import FailMode
from tests.faults.catalogue import FAULTS, STAGES, Fault, Made, Stage
from tests.faults.expected import Factor, Front, Mode, Outcome, outcome


@dataclass(frozen=True, slots=True)
class Cell:
    fault: Fault
    stage: Stage
    mode: Mode
    front: Front
    factor: Factor

    @property
    def expected(self) -> Outcome:
        return outcome(self.fault, self.stage, self.mode)

    @property
    def at_start(self) -> bool:
        """Whether it takes a daemon that has not looked the name up yet."""
        return self.fault.made is Made.NAME and self.stage is Stage.CONNECT

    def __str__(self) -> str:
        return f"{self.fault.name} / {self.stage} / {self.mode} / {self.front} / {self.factor}"


NO_ANSWER_YET = "nobody has asked yet, so there is no answer to spoil; in preauth it is"
NO_CALL = "the answer of preauth is the one before, that of auth the one behind"
CONNECTED = "the connection stands while an answer is awaited; what can become of it is among the answers"
ONCE_FOR_ALL = "once is once, for preauth; whether the probe would agree is not asked"
NOTHING_TO_POLL = "a passcode is judged in the answer of auth; nothing is polled"
NOT_CHOSEN_YET = "the factor is chosen at the prompt, which is behind preauth: the same login as with push"
NO_SILENCE = "a bind has to be answered; `check` refuses `failmode: silent` here"
NOT_KNOWN = "this version has no such mode"


def impossible(fault: Fault, stage: Stage, mode: Mode, front: Front, factor: Factor) -> str:
    """'' or why there is no such cell."""
    if stage not in STAGES[fault.made]:
        if fault.made is not Made.ANSWER:
            return CONNECTED
        return NO_ANSWER_YET if stage is Stage.CONNECT else NO_CALL
    if fault.times and stage is Stage.PREAUTH:
        return ONCE_FOR_ALL
    if front is Front.LDAP and mode is Mode.SILENT:
        return NO_SILENCE
    if mode.value not in set(FailMode):
        return NOT_KNOWN
    if factor is Factor.PASSCODE and stage is Stage.POLLING:
        return NOTHING_TO_POLL
    early = (Stage.CONNECT, Stage.PREAUTH, Stage.PREAUTH_ALONE)
    if (
        front is Front.CHALLENGE
        and factor is Factor.PASSCODE
        and stage in early
        and _never_prompts(fault, stage)
    ):
        return NOT_CHOSEN_YET
    return ""


def _never_prompts(fault: Fault, stage: Stage) -> bool:
    return all(outcome(fault, stage, mode).reason != "both_factors" for mode in Mode)


Combination = tuple[Fault, Stage, Mode, Front, Factor]


def combinations() -> Iterator[Combination]:
    yield from itertools.product(FAULTS.values(), Stage, Mode, Front, Factor)


def cells() -> list[Cell]:
    return [Cell(*combination) for combination in combinations() if not impossible(*combination)]


def sample(every: int) -> list[Cell]:
    """Each fault at each stage at least once, in turn with each mode, front and factor; about one cell of `every`."""
    chosen = []
    pairs = itertools.groupby(cells(), key=lambda cell: (cell.fault.name, cell.stage))
    for at, (_, group) in enumerate(pairs):
        of_pair = list(group)
        # Another remainder each time, or every pair would give its first.
        chosen += of_pair[(at * 5) % min(every, len(of_pair)) :: every]
    return chosen


def batches(some: Iterable[Cell], size: int) -> list[list[Cell]]:
    """Of about `size`, with what needs a fresh daemon by itself."""
    found: list[list[Cell]] = []
    for _, group in itertools.groupby(
        sorted(some, key=lambda cell: cell.at_start), key=lambda cell: cell.at_start
    ):
        of_kind = list(group)
        count = -(-len(of_kind) // size)
        # Dealt out like cards, so that each batch has its share of those that wait long.
        found += [of_kind[at::count] for at in range(count)]
    return found
