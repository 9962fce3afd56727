"""Clients with a name, a password and no prompt, in the modes that were made for them: concat and factor-only.

`radius_server_auto` and `radius_server_challenge` are in the tests of each client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.system.bench.cloud import User
from tests.system.nas.clients import CLIENTS, Place, Start
from tests.system.nas.world import Doors
from tests.system.parts.clients import pyrad, radclient

pytestmark = pytest.mark.system


class Modes(Doors):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        clients = self.options(self.auto)["clients"]
        self.concat = self.add_section("concat", kind="radius_server_concat", clients=clients)
        self.factor_only = self.add_section("factor-only", kind="radius_server_duo_only", clients=clients)


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Modes]:
    world = Modes(tmp_path_factory.mktemp("modes"))
    world.start()
    yield world
    world.close()


def _radclient(place: Place) -> Callable[[str, str, int], bool]:
    port = place.door(place.world.auto)
    return lambda user, password, _: (
        radclient("127.0.0.1", port, place.secret, user, password, signed=False).reply == "Access-Accept"
    )


def _pyrad(place: Place) -> Callable[[str, str, int], bool]:
    port = place.door(place.world.auto, signs=True)
    return lambda user, password, _: (
        pyrad("127.0.0.1", port, place.secret, user, password).reply == "Access-Accept"
    )


PROMPTLESS: dict[str, Start] = {
    "radclient": _radclient,
    "pyrad": _pyrad,
    **{
        name: CLIENTS[name]
        for name in ("pam_radius", "squid", "postgresql", "freeradius", "openvpn", "ocserv")
    },
}
ROOT = {"openvpn", "ocserv"}  # these are in network namespaces
EACH = [
    pytest.param(name, marks=pytest.mark.nas if name in ROOT else pytest.mark.long) for name in PROMPTLESS
]


class Door:
    """A client before a section; users are made anew by each question."""

    def __init__(self, world: Modes, place: Place, name: str) -> None:
        self._world = world
        self._log_in = PROMPTLESS[name](replace(place, patience=30))

    def __call__(
        self, typed: str, factors: list[str], *, binds: int, accepted: bool, answer: str = "allow"
    ) -> None:
        """`typed`: with {password}, {wrong} and {passcode} in it."""
        world, user = self._world, self._world.user()
        passcode = world.canaries.passcode("a passcode")
        world.cloud.users[user.user] = User(answer=answer, passcodes={passcode})
        wrong = world.canaries.new("wrong password")
        password = typed.format(password=user.password, wrong=wrong, passcode=passcode)
        assert self._log_in(user.user, password, 0) == accepted
        assert [call["factor"] for call in world.asked(user.user)] == factors
        assert len(world.binds(user.user)) == binds


@pytest.mark.parametrize("name", EACH)
def test_concat(modes: Modes, tmp_path: Path, name: str) -> None:
    with ExitStack() as stack:
        door = Door(modes, Place(modes, stack, tmp_path, section=modes.concat), name)
        door("{password},{passcode}", ["passcode"], binds=1, accepted=True)
        door("{password},push", ["push"], binds=1, accepted=True)
        door("{password}", [], binds=0, accepted=False)
        door("{wrong},{passcode}", [], binds=1, accepted=False)
        door("{password},push", ["push"], binds=1, accepted=False, answer="deny")


@pytest.mark.parametrize("name", EACH)
def test_factor_only(modes: Modes, tmp_path: Path, name: str) -> None:
    with ExitStack() as stack:
        door = Door(modes, Place(modes, stack, tmp_path, section=modes.factor_only), name)
        door("{passcode}", ["passcode"], binds=0, accepted=True)
        door("push", ["push"], binds=0, accepted=True)
        door("000000", ["passcode"], binds=0, accepted=False)
        door("{wrong}", ["passcode"], binds=0, accepted=False)
        door("push", ["push"], binds=0, accepted=False, answer="deny")
