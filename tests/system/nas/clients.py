"""Real clients of RADIUS, each started before a world of its own, for two users who may log in at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.system.bench.accountant import Accountant
from tests.system.bench.journal import Journal
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
        for section in self.sections:  # there are two to choose from now
            self.options(section)["client"] = "ad_client"
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
        radclient("127.0.0.1", relay.port, relay.secret, user, password, timeout=90).reply == "Access-Accept"
    )


def _openvpn(world: Waiting, stack: ExitStack, folder: Path, patience: int | None) -> LogIn:
    inside = stack.enter_context(Namespace())
    port = world.tapped(stack, world.auto, inside)
    stack.enter_context(Accountant(inside.udp_socket(1813), world.secret))
    vpn = stack.enter_context(OpenVpn(folder, inside, port, world.secret, wait=patience or 1, retry=1))
    return lambda user, password, _: vpn.log_in(user, password).found == UP


def _openvpn_pam(world: Waiting, stack: ExitStack, folder: Path, patience: int | None) -> LogIn:
    inside = stack.enter_context(Namespace())
    port = world.tapped(stack, world.asking, inside)
    pam = PamRadius(folder / "pam", port, world.secret, timeout=patience or 3)
    vpn = stack.enter_context(OpenVpn(folder / "vpn", inside, port, world.secret, pam=pam))
    return lambda user, password, _: vpn.log_in(user, password, "1").found == UP


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
    "openvpn-pam": _openvpn_pam,
    "ocserv": _ocserv,
    "ocserv-8": partial(_ocserv, processes=8),
    "strongswan": _strongswan,
    "strongswan-8": partial(_strongswan, sockets=8),
    "hostapd": _switch,
}
ONE_PORT = {"hostapd"}  # has one port here, so no second device
