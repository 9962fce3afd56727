"""802.1X at a switch: EAP that ends at the daemon, with a device that knows the server's certificate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.nas.world import CASES, Doors
from tests.system.parts.wired import IN, Switch

pytestmark = [pytest.mark.system, pytest.mark.nas]


@pytest.fixture(scope="module")
def switch(_doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    with Switch(tmp_path_factory.mktemp("switch"), _doors.secret, _doors.eap_authority) as made:
        _doors.door(_doors.eap, signs=True, listening=made.namespace.udp_socket(1812))
        yield made


@pytest.mark.parametrize("method", ["peap-gtc", "ttls-pap"])
@pytest.mark.parametrize("case", CASES)
def test_log_in(doors: Doors, switch: Switch, case: str, method: str) -> None:
    def log_in(user: str, password: str) -> bool:
        said = switch.log_in(method, user, password)
        assert said.found, said.text[-3000:]
        return said.found == IN

    doors.play(case, log_in)
