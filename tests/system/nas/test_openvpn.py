"""OpenVPN: its radiusplugin, with no prompt, and auth-pam with pam_radius, with one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.accountant import Accountant
from tests.system.nas.world import CASES, Doors
from tests.system.parts.namespace import Namespace
from tests.system.parts.openvpn import UP, OpenVpn
from tests.system.parts.pam_radius import PamRadius

pytestmark = [pytest.mark.system, pytest.mark.nas]


@pytest.fixture(scope="module")
def vpn(_doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenVpn]:
    with Namespace() as inside:
        port = _doors.door(_doors.auto, listening=inside.udp_socket(1812))
        folder, secret = tmp_path_factory.mktemp("openvpn"), _doors.secret
        # The plugin turns away whom it can't account for.
        with Accountant(inside.udp_socket(1813), secret), OpenVpn(folder, inside, port, secret) as server:
            yield server


@pytest.mark.parametrize("case", CASES)
def test_log_in(doors: Doors, vpn: OpenVpn, case: str) -> None:
    def log_in(user: str, password: str) -> bool:
        said = vpn.log_in(user, password)
        assert said.found, said.text[-3000:] + vpn.log[-3000:]
        return said.found == UP

    doors.play(case, log_in)


@pytest.mark.parametrize("case", CASES)
def test_static_challenge(doors: Doors, tmp_path: Path, case: str) -> None:
    """The client asks for password and code at once; the plugin answers our menu with the code, or with a number."""
    with Namespace() as inside:
        port = doors.door(doors.asking, listening=inside.udp_socket(1812))
        pam = PamRadius(tmp_path / "pam", port, doors.secret)
        with OpenVpn(tmp_path / "openvpn", inside, port, doors.secret, pam=pam) as vpn:

            def log_in(user: str, password: str, code: str) -> bool:
                said = vpn.log_in(user, password, code)
                assert said.found, said.text[-3000:] + vpn.log[-3000:]
                return said.found == UP

            doors.play_menu(case, log_in)
