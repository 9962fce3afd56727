"""ocserv: PAP, and prompts for as long as it is challenged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.bench.oracles import Section
from tests.system.nas.world import CASES, Doors
from tests.system.parts.namespace import Namespace
from tests.system.parts.ocserv import PASSWORD_PROMPT, Ocserv
from tests.system.parts.terminal import Shown

pytestmark = [pytest.mark.system, pytest.mark.nas]


def start(doors: Doors, factory: pytest.TempPathFactory, section: Section) -> Iterator[Ocserv]:
    with Namespace() as inside:
        port = doors.door(section, listening=inside.udp_socket(1812))
        with Ocserv(factory.mktemp("ocserv"), inside, port, doors.secret) as server:
            yield server


@pytest.fixture(scope="module")
def vpn(_doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ocserv]:
    yield from start(_doors, tmp_path_factory, _doors.auto)


@pytest.fixture(scope="module")
def asking(_doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ocserv]:
    yield from start(_doors, tmp_path_factory, _doors.asking)


def let_in(shown: Shown) -> bool:
    """Refused is who is asked for the password again, or, behind a prompt, sent away."""
    cookie = "COOKIE=" in shown.text
    assert cookie or shown.code is None or "401 Authentication failed" in shown.text, shown.text
    return cookie


@pytest.mark.parametrize("case", CASES)
def test_a_password_alone(doors: Doors, vpn: Ocserv, case: str) -> None:
    doors.play(case, lambda user, password: let_in(vpn.log_in(user, (PASSWORD_PROMPT, password))))


@pytest.mark.parametrize("case", CASES)
def test_a_menu(doors: Doors, asking: Ocserv, case: str) -> None:
    def log_in(user: str, password: str, answer: str) -> bool:
        menu = r"Passcode or option \(1-\d\):[^:]*: ?$"
        shown = asking.log_in(user, (PASSWORD_PROMPT, password), (menu, answer))
        return let_in(shown)

    doors.play_menu(case, log_in)
