"""The C tools: compiled when first needed, run, their one line of JSON read."""

from __future__ import annotations

import array
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.bench.process import AROUND_IT, run

SOURCES = Path(__file__).parent / "c"
# Built programs and what a run writes; ignored by git, safe to delete.
WORK = Path(__file__).parents[2] / ".bench"
SECRET = "testing123"


class Unbuildable(Exception):
    """The administrator's to mend: what is missing, and what installs it."""


@cache
def tool(name: str) -> Path:
    """The program made of c/NAME.c; compiled again when a source has changed. Raises Unbuildable."""
    digest = hashlib.sha256()
    for source in sorted(SOURCES.iterdir()):
        digest.update(source.read_bytes())
    program = WORK / "bin" / f"{name}-{digest.hexdigest()[:12]}"
    if not program.exists():
        _compile(SOURCES / f"{name}.c", program)
    return program


def _compile(source: Path, program: Path) -> None:
    if shutil.which("gcc") is None:
        raise Unbuildable("gcc is not installed: apt-get install gcc libc6-dev libssl-dev")
    program.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_suffix(".new")
    command = [
        "gcc",
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pthread",
        "-o",
        str(unfinished),
        str(source),
    ]
    done = subprocess.run([*command, "-lssl", "-lcrypto"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unbuildable(f"{source.name} (needs libc6-dev and libssl-dev):\n{done.stderr}")
    unfinished.rename(program)


@dataclass(frozen=True, slots=True)
class Load:
    """What radload saw. `let_in`, `kept_out`: verified answers that should have been the other one."""

    logins: int
    answered: int
    accepted: int
    rejected: int
    challenged: int
    lost: int
    let_in: int
    kept_out: int
    forged: int
    late: int
    retransmitted: int
    unsigned: int
    send_refused: int
    starved: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    seconds: float
    per_second: float
    generator_us: float
    latencies_ms: Sequence[float] = ()


class WrongAnswer(Exception):
    """A measurement that must not be believed, or a server that must not be used: an answer was false."""


@dataclass(frozen=True, slots=True)
class Logins:
    """What to ask of radload. Times in seconds; `window` outstanding, or `rate` per second."""

    count: int
    window: int = 64
    rate: float = 0
    channels: int = 16
    users: int = 10_000
    give_up: float = 5
    retransmit: float = 0
    renew: bool = False
    # Where each second request of a login goes; 0: there is one server.
    other_port: int = 0
    suffix: str = ""
    wrong_every: int = 0
    deny_every: int = 0
    at_most: float = 120
    keep_latencies: bool = False
    # Under a load that nobody can serve. To be let in wrongly is always a failure.
    may_be_kept_out: bool = False

    def options(self) -> list[object]:
        options: list[object] = ["-n", self.count, "-c", self.channels, "-u", self.users, "-d", self.at_most]
        options += ["-r", self.rate] if self.rate else ["-w", self.window]
        options += ["-t", round(self.give_up * 1000), "-i", round(self.retransmit * 1000)]
        options += ["-P", self.suffix, "-x", self.wrong_every, "-y", self.deny_every]
        options += ["-q", self.other_port] if self.other_port else []
        return options + (["-N"] if self.renew else [])


def radload(port: int, logins: Logins) -> Load:
    """Raises WrongAnswer when a reply did not verify or said the opposite of the truth."""
    with tempfile.NamedTemporaryFile(dir=_scratch()) as latencies:
        options = logins.options() + (["-l", latencies.name] if logins.keep_latencies else [])
        command = [tool("radload"), "-p", port, "-s", SECRET, *options]
        printed = json.loads(run(command, timeout=logins.at_most + 30))
        kept = _milliseconds(Path(latencies.name)) if logins.keep_latencies else ()
    load = Load(**printed, latencies_ms=kept)
    if load.let_in or load.forged or (load.kept_out and not logins.may_be_kept_out):
        wrong = f"{load.let_in} let in and {load.kept_out} kept out wrongly, {load.forged} forged"
        raise WrongAnswer(f"{wrong}, of {load.answered} answers")
    return load


@dataclass(frozen=True, slots=True)
class LdapLoad:
    """What ldapload saw. `done`: searches or sessions whose every answer was right."""

    done: int
    wrong: int
    ended_early: int
    seconds: float
    generator_us: float

    def expect_right(self) -> int:
        """How many. Raises WrongAnswer."""
        if self.wrong or self.ended_early or not self.done:
            raise WrongAnswer(f"{self.wrong} wrong answers, {self.ended_early} ended early, {self.done} done")
        return self.done


def ldapload(port: int, *options: object) -> LdapLoad:
    return LdapLoad(**json.loads(run([tool("ldapload"), "-p", port, *options])))


@dataclass(frozen=True, slots=True)
class Direct:
    """What the same work costs with nobody in between."""

    logins: int
    accepted: int
    refused_binds: int
    refused_calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    seconds: float
    per_second: float
    cpu_us: float
    latencies_ms: Sequence[float] = ()


def direct(ldap_port: int, https_port: int, ca: Path, *options: object, cpu: int = AROUND_IT) -> Direct:
    with tempfile.NamedTemporaryFile(dir=_scratch()) as latencies:
        command = [
            tool("direct"),
            "-l",
            ldap_port,
            "-h",
            https_port,
            "-C",
            ca,
            "-o",
            latencies.name,
            *options,
        ]
        printed = json.loads(run(command, cpu=cpu))
        return Direct(**printed, latencies_ms=_milliseconds(Path(latencies.name)))


def _milliseconds(path: Path) -> tuple[float, ...]:
    values = array.array("I")
    values.frombytes(path.read_bytes())
    return tuple(value / 1000 for value in values)


def _scratch() -> Path:
    WORK.mkdir(exist_ok=True)
    return WORK
