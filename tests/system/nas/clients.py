"""Real clients of RADIUS, each started before a world of its own, for two users who may log in at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.system.bench.accountant import Accountant
from tests.system.bench.journal import Journal
from tests.system.bench.oracles import Section
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

    def journal_of(self, section: Section) -> Journal:
        self.seen = Journal()
        return self.seen


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client is started. `patience`: seconds that it shall wait; None for its own defaults.

    `section`: whom it asks, instead of the one that goes with it.
    """

    world: Doors
    stack: ExitStack
    folder: Path
    patience: int | None = None
    section: Section | None = None

    @property
    def secret(self) -> str:
        return self.world.secret

    def door(self, usual: Section, inside: Namespace | None = None, *, signs: bool = False) -> int:
        """The port for the client, which may be inside a namespace. `signs`: it sends Message-Authenticators."""
        listening = inside.udp_socket(1812) if inside is not None else None
        return self.world.door(self.section or usual, listening=listening, signs=signs)


Start = Callable[[Place], LogIn]


def _pam(place: Place) -> LogIn:
    pam = PamRadius(
        place.folder / "pam", place.door(place.world.auto), place.secret, timeout=place.patience or 3
    )
    return lambda user, password, _: pam.log_in(user, (PASSWORD_PROMPT, password)).code == 0


def _squid(place: Place) -> LogIn:
    helper = SquidRadius(
        place.folder, place.door(place.world.auto), place.secret, timeout=place.patience or 10
    )
    lock = threading.Lock()
    place.stack.enter_context(helper)

    def log_in(user: str, password: str, _: int) -> bool:
        with lock:  # one line after the other, as squid does with each of its helpers
            return helper.log_in(user, password)

    return log_in


def _postgresql(place: Place) -> LogIn:
    server = place.stack.enter_context(PostgreSql(place.door(place.world.auto), place.secret))
    roles: set[str] = set()

    def log_in(user: str, password: str, _: int) -> bool:
        if user not in roles:
            server.add_role(user)
            roles.add(user)
        return server.log_in(user, password)

    return log_in


def _relay(place: Place) -> LogIn:
    port = place.door(place.world.auto, signs=True)
    relay = place.stack.enter_context(
        FreeRadius(
            place.folder / "relay", place.secret, relay_to=(port, place.secret), patience=place.patience or 30
        )
    )
    return lambda user, password, _: (
        radclient("127.0.0.1", relay.port, relay.secret, user, password, timeout=90).reply == "Access-Accept"
    )


def _openvpn(place: Place) -> LogIn:
    inside = place.stack.enter_context(Namespace())
    port = place.door(place.world.auto, inside)
    place.stack.enter_context(Accountant(inside.udp_socket(1813), place.secret))
    vpn = place.stack.enter_context(
        OpenVpn(place.folder, inside, port, place.secret, wait=place.patience or 1, retry=1)
    )
    return lambda user, password, _: vpn.log_in(user, password).found == UP


def _openvpn_pam(place: Place) -> LogIn:
    inside = place.stack.enter_context(Namespace())
    port = place.door(place.world.asking, inside)
    pam = PamRadius(place.folder / "pam", port, place.secret, timeout=place.patience or 3)
    vpn = place.stack.enter_context(OpenVpn(place.folder / "vpn", inside, port, place.secret, pam=pam))
    return lambda user, password, _: vpn.log_in(user, password, "1").found == UP


def _ocserv(place: Place, *, processes: int = 1) -> LogIn:
    inside = place.stack.enter_context(Namespace())
    port = place.door(place.world.auto, inside)
    vpn = place.stack.enter_context(
        Ocserv(
            place.folder,
            inside,
            port,
            place.secret,
            timeout=place.patience or 10,
            retries=1 if place.patience else 3,
            processes=processes,
        )
    )
    return lambda user, password, _: "COOKIE=" in vpn.log_in(user, (OCSERV_PROMPT, password)).text


def _strongswan(place: Place, *, sockets: int = 1) -> LogIn:
    assert isinstance(place.world, Waiting)
    inside = place.stack.enter_context(Namespace())
    place.door(place.world.gate, inside, signs=True)
    vpn = place.stack.enter_context(
        StrongSwan(place.folder, inside, place.secret, sockets=sockets, repeat=10 if place.patience else 2)
    )
    return lambda user, password, which: vpn.log_in(
        "eap-mschapv2", user, password, client=("client", "another")[which]
    )


def _switch(place: Place) -> LogIn:
    switch = place.stack.enter_context(Switch(place.folder, place.secret, place.world.eap_authority))
    place.door(place.world.eap, switch.namespace, signs=True)
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
