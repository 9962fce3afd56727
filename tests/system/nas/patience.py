"""python -m tests.system.nas.patience [CLIENT …]   how real clients wait for a push; a line each.

With the settings that it comes with: how long it waits for a phone that nobody picks up, and how often it asks
meanwhile. With patience: whether another user gets in at the same time. Takes root, and some fifteen minutes for all.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.bench.cloud import User
from tests.system.bench.journal import CloudRequest, RadiusReply, RadiusRequest
from tests.system.nas.clients import CLIENTS, ONE_PORT, LogIn, Place, Start, Waiting

LONGEST = 90.0  # seconds: longer than any push lives
PATIENCE = 65  # seconds: what docs/nas.md recommends
HOLD = 2.0  # seconds that one user keeps their phone waiting while another logs in


@dataclass(frozen=True, slots=True)
class Waited:
    """`seconds` until it gave up, or was refused; `requests` and `pushes` by then."""

    seconds: float
    refused: bool
    requests: int
    repeated: int
    pushes: int

    def __str__(self) -> str:
        end = "refused after" if self.refused else "gives up after"
        asked = f"{self.requests} requests, {self.repeated} of them repetitions, {self.pushes} pushes"
        return f"{end} {self.seconds:.1f} s, {asked}"


def waits(world: Waiting, log_in: LogIn) -> Waited:
    """For alice, who doesn't pick up."""
    before, asked = len(world.seen), len(world.asked("alice"))
    world.cloud.users["alice"] = User(answer=None)
    began = time.monotonic()
    _log_in(world, log_in, "alice", 0)
    seconds = time.monotonic() - began
    requests = world.seen.all(RadiusRequest, lambda request: request.octets[0] == 1, since=before)
    answers = world.seen.all(RadiusReply, lambda reply: reply.code == 3, since=before)
    repeated = len(requests) - len({request.octets for request in requests})
    pushes = len(world.asked("alice")) - asked
    world.cloud.decide("alice", "deny")
    return Waited(seconds, bool(answers), len(requests), repeated, pushes)


def beside(world: Waiting, log_in: LogIn) -> float:
    """Seconds of bob's login while alice looks for her phone."""
    world.cloud.users |= {"alice": User(answer=None), "bob": User()}
    since = len(world.journal)
    first = threading.Thread(target=_log_in, args=(world, log_in, "alice", 0))
    second = threading.Thread(target=_log_in, args=(world, log_in, "bob", 1))
    first.start()
    world.journal.wait(CloudRequest, lambda asked: asked.endpoint == "auth", since=since, timeout=20)
    began = time.monotonic()
    second.start()
    second.join(HOLD)
    world.cloud.decide("alice", "allow")
    second.join(LONGEST)
    took = time.monotonic() - began
    first.join(LONGEST)
    return took


def _log_in(world: Waiting, log_in: LogIn, user: str, which: int) -> None:
    log_in(user, world.people[user].password, which)


@contextlib.contextmanager
def running(start: Start, patience: int | None) -> Iterator[tuple[Waiting, LogIn]]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        (Path(name) / "world").mkdir()
        world = Waiting(Path(name) / "world")
        stack.enter_context(world.freeradius)
        world.start()
        (Path(name) / "client").mkdir()
        try:
            yield world, start(Place(world, stack, Path(name) / "client", patience))
        finally:
            stack.close()
            world.running.stop()
            world.close()


def told(name: str) -> Iterator[str]:
    """What is found out of this client, a line each."""
    try:
        with running(CLIENTS[name], None) as (world, log_in):
            yield f"by default: {waits(world, log_in)}"
        with running(CLIENTS[name], PATIENCE) as (world, log_in):
            if name not in ONE_PORT:
                other = beside(world, log_in)
                still = "ALL LOGINS STAND STILL" if other >= HOLD else f"another takes {other:.1f} s"
                yield f"while a login waits: {still}"
            yield f"with patience: {waits(world, log_in)}"
    except pytest.skip.Exception as skipped:
        yield str(skipped)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.nas.patience", description=__doc__)
    parser.add_argument("client", nargs="*", help=f"of {', '.join(CLIENTS)}; default: all")
    for name in parser.parse_args(argv).client or CLIENTS:
        for line in told(name):
            print(f"{name:<22} {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
