"""IKEv2 with eap-radius: EAP-MSCHAPv2 that goes through to FreeRADIUS, and a push behind it.

The gateway checks the client with the keys in our Accept: a login through it proves that they are right (R30).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.cloud import User
from tests.system.bench.journal import Journal
from tests.system.bench.tap import Tap
from tests.system.bench.world import World
from tests.system.nas.world import CASES
from tests.system.parts.freeradius import FreeRadius, Person
from tests.system.parts.namespace import Namespace
from tests.system.parts.strongswan import StrongSwan

pytestmark = [pytest.mark.system, pytest.mark.nas]

METHODS = ("eap-mschapv2", "eap-md5", "eap-gtc")


class Gate(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        people = {
            f"{case.split(maxsplit=1)[0]}-{method}": Person(self.canaries.new(f"the password for {case}"))
            for case in CASES
            for method in METHODS
        }
        self.freeradius = FreeRadius(folder / "fr", self.canaries.new("the primary's secret"), people)
        self.know_passwords({name: person.password for name, person in people.items()})
        self.use_radius("radius_client", self.freeradius.port, self.freeradius.secret)
        self.gate = self.add_section("gate", client="radius_client", factors=["push"])


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    world = Gate(tmp_path_factory.mktemp("gate"))
    with world.freeradius:
        world.start()
        yield world
        world.close()


@pytest.fixture(scope="module")
def vpn(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrongSwan]:
    with Namespace() as inside:
        door = inside.udp_socket(1812)
        # EAP: nothing that the oracles could follow.
        server, secret = ("127.0.0.1", gate.gate.port), gate.secret.encode()
        with Tap(Journal(), server, secret, listening=door):
            folder = tmp_path_factory.mktemp("strongswan")
            with StrongSwan(folder, inside, gate.secret) as made:
                yield made


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", [case for case in CASES if case != "passcode"])
def test_log_in(gate: Gate, vpn: StrongSwan, case: str, method: str) -> None:
    name = f"{case.split(maxsplit=1)[0]}-{method}"
    password = gate.freeradius.people[name].password
    gate.cloud.users[name] = User(answer="deny" if case == "denied" else "allow")
    typed = gate.canaries.new("wrong password") if case == "wrong password" else password
    assert vpn.log_in(method, name, typed) == (case == "push"), vpn.log
    assert [call["factor"] for call in gate.asked(name)] == ([] if case == "wrong password" else ["push"])
