"""python -m tests.system.nas.patience [CLIENT …]   how real clients wait for a push; a line each.

With the settings that it comes with: how long it waits for a phone that nobody picks up, and how often it asks
meanwhile. With patience: whether another user gets in at the same time. Takes root, and some five minutes for all.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.system.bench.accountant import Accountant
from tests.system.bench.cloud import User
from tests.system.bench.journal import CloudRequest, Journal, RadiusReply, RadiusRequest
from tests.system.bench.oracles import Section
from tests.system.bench.tap import Tap
from tests.system.nas.world import Doors
from tests.system.parts.clients import radclient
from tests.system.parts.freeradius import FreeRadius, Person
from tests.system.parts.namespace import Namespace
from tests.system.parts.ocserv import PASSWORD_PROMPT as OCSERV_PROMPT
from tests.system.parts.ocserv import Ocserv
from tests.system.parts.openvpn import UP, OpenVpn
from tests.system.parts.pam_radius import PASSWORD_PROMPT, PamRadius
from tests.system.parts.postgresql import PostgreSql
from tests.system.parts.squid_radius import SquidRadius
from tests.system.parts.strongswan import StrongSwan
from tests.system.parts.wired import IN, Switch

LONGEST = 90.0  # seconds: longer than any push lives
PATIENCE = 65  # seconds: what docs/nas.md recommends
HOLD = 2.0  # seconds that one user keeps their phone waiting while another logs in
USERS = ("alice", "bob")
# (user, password, which of two clients at once)
LogIn = Callable[[str, str, int], bool]


class Waiting(Doors):
    """Two users, at the directory and at a RADIUS server; every client has a tap of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.people = {user: self.user(user) for user in USERS}
        people = {user: Person(login.password) for user, login in self.people.items()}
        self.freeradius = FreeRadius(folder / "fr", self.canaries.new("the primary's secret"), people)
        self.use_radius("radius_client", self.freeradius.port, self.freeradius.secret)
        self.options(self.auto)["client"] = self.options(self.eap)["client"] = "ad_client"
        self.options(self.asking)["client"] = "ad_client"
        self.gate = self.add_section("gate", client="radius_client", factors=["push"])
        self.seen = Journal()

    def tapped(self, stack: ExitStack, section: Section, inside: Namespace | None = None) -> int:
        """The port for a client, which may be inside a namespace."""
        self.seen = Journal()
        listening = inside.udp_socket(1812) if inside is not None else None
        server, secret = ("127.0.0.1", section.port), self.secret.encode()
        return stack.enter_context(Tap(self.seen, server, secret, listening=listening)).port


# `patience`: seconds that it shall wait; None for its own defaults.
Start = Callable[[Waiting, ExitStack, Path, int | None], LogIn]


def _pam(world: Waiting, stack: ExitStack, folder: Path, patience: int | None) -> LogIn:
    pam = PamRadius(folder / "pam", world.tapped(stack, world.auto), world.secret, timeout=patience or 3)
    return lambda user, password, _: pam.log_in(user, (PASSWORD_PROMPT, password)).code == 0


def _squid(world: Waiting, stack: ExitStack, folder: Path, patience: int | None) -> LogIn:
    helper = SquidRadius(folder, world.tapped(stack, world.auto), world.secret, timeout=patience or 10)
    lock = threading.Lock()
    stack.enter_context(helper)

    def log_in(user: str, password: str, _: int) -> bool:
        with lock:  # one line after the other, as squid does with each of its helpers
            return helper.log_in(user, password)

    return log_in


def _postgresql(world: Waiting, stack: ExitStack, folder: Path, patience: int | None) -> LogIn:
    server = stack.enter_context(PostgreSql(world.tapped(stack, world.auto), world.secret))
    for user in USERS:
        server.add_role(user)
    return lambda user, password, _: server.log_in(user, password)


def _relay(world: Waiting, stack: ExitStack, folder: Path, patience: int | None) -> LogIn:
    port = world.tapped(stack, world.auto)
    relay = stack.enter_context(
        FreeRadius(folder / "relay", world.secret, relay_to=(port, world.secret), patience=patience or 30)
    )
    return lambda user, password, _: (
        radclient("127.0.0.1", relay.port, relay.secret, user, password, timeout=int(LONGEST)).reply
        == "Access-Accept"
    )


def _openvpn(world: Waiting, stack: ExitStack, folder: Path, patience: int | None) -> LogIn:
    inside = stack.enter_context(Namespace())
    port = world.tapped(stack, world.auto, inside)
    stack.enter_context(Accountant(inside.udp_socket(1813), world.secret))
    vpn = stack.enter_context(OpenVpn(folder, inside, port, world.secret, wait=patience or 1, retry=1))
    return lambda user, password, _: vpn.log_in(user, password).found == UP


def _ocserv(
    world: Waiting, stack: ExitStack, folder: Path, patience: int | None, *, processes: int = 1
) -> LogIn:
    inside = stack.enter_context(Namespace())
    port = world.tapped(stack, world.auto, inside)
    vpn = stack.enter_context(
        Ocserv(
            folder,
            inside,
            port,
            world.secret,
            timeout=patience or 10,
            retries=1 if patience else 3,
            processes=processes,
        )
    )
    return lambda user, password, _: "COOKIE=" in vpn.log_in(user, (OCSERV_PROMPT, password)).text


def _strongswan(
    world: Waiting, stack: ExitStack, folder: Path, patience: int | None, *, sockets: int = 1
) -> LogIn:
    inside = stack.enter_context(Namespace())
    world.tapped(stack, world.gate, inside)
    vpn = stack.enter_context(
        StrongSwan(folder, inside, world.secret, sockets=sockets, repeat=10 if patience else 2)
    )
    return lambda user, password, which: vpn.log_in(
        "eap-mschapv2", user, password, client=("client", "another")[which]
    )


def _switch(world: Waiting, stack: ExitStack, folder: Path, patience: int | None) -> LogIn:
    switch = stack.enter_context(Switch(folder, world.secret, world.eap_authority))
    world.tapped(stack, world.eap, switch.namespace)
    return lambda user, password, _: switch.log_in("peap-gtc", user, password).found == IN


CLIENTS: dict[str, Start] = {
    "pam_radius": _pam,
    "squid": _squid,
    "postgresql": _postgresql,
    "freeradius": _relay,
    "openvpn": _openvpn,
    "ocserv": _ocserv,
    "ocserv-8": partial(_ocserv, processes=8),
    "strongswan": _strongswan,
    "strongswan-8": partial(_strongswan, sockets=8),
    "hostapd": _switch,
}
ONE_PORT = {"hostapd"}  # has one port here, so no second device


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


def _beside(world: Waiting, log_in: LogIn) -> float:
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
def _running(start: Start, patience: int | None) -> Iterator[tuple[Waiting, LogIn]]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        (Path(name) / "world").mkdir()
        world = Waiting(Path(name) / "world")
        stack.enter_context(world.freeradius)
        world.start()
        (Path(name) / "client").mkdir()
        try:
            yield world, start(world, stack, Path(name) / "client", patience)
        finally:
            stack.close()
            world.running.stop()
            world.close()


def told(name: str) -> Iterator[str]:
    """What is found out of this client, a line each."""
    try:
        with _running(CLIENTS[name], None) as (world, log_in):
            yield f"by default: {waits(world, log_in)}"
        with _running(CLIENTS[name], PATIENCE) as (world, log_in):
            if name not in ONE_PORT:
                other = _beside(world, log_in)
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
