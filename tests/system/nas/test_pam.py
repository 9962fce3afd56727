"""libpam-radius-auth: pamtester with and without a menu, and sshd with a client that types at its prompts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.nas.world import CASES, Doors
from tests.system.parts.pam_radius import PASSWORD_PROMPT, PamRadius, Sshd

pytestmark = pytest.mark.system

MENU_PROMPT = r"Passcode or option \(1-\d\): ?$"


@pytest.mark.parametrize("case", CASES)
def test_a_password_alone(doors: Doors, tmp_path: Path, case: str) -> None:
    pam = PamRadius(tmp_path / "pam", doors.door(doors.auto), doors.secret)

    def log_in(user: str, password: str) -> bool:
        shown = pam.log_in(user, (PASSWORD_PROMPT, password))
        assert shown.code is not None, shown.text
        return shown.code == 0

    doors.play(case, log_in)


@pytest.mark.parametrize("case", CASES)
def test_a_menu(doors: Doors, tmp_path: Path, case: str) -> None:
    pam = PamRadius(tmp_path / "pam", doors.door(doors.asking), doors.secret)

    def log_in(user: str, password: str, answer: str) -> bool:
        shown = pam.log_in(user, (PASSWORD_PROMPT, password), (MENU_PROMPT, answer))
        assert shown.code is not None, shown.text
        assert ("1. Push to Phone DPHONE" in shown.text) == (case != "wrong password"), shown.text
        return shown.code == 0

    doors.play_menu(case, log_in)


def test_sshd(doors: Doors, tmp_path: Path) -> None:
    """The menu is shown by a client that has never heard of it, and its answer is typed."""
    pam = PamRadius(tmp_path / "pam", doors.door(doors.asking), doors.secret)
    with Sshd(tmp_path / "sshd", pam) as sshd:

        def log_in(user: str, password: str, answer: str) -> bool:
            shown = sshd.log_in((PASSWORD_PROMPT, password), (MENU_PROMPT, answer))
            assert ("1. Push to Phone DPHONE" in shown.text) == (case != "wrong password"), shown.text
            assert ("Permission denied" in shown.text) == (shown.code != 0), shown.text
            return shown.code == 0

        for case in CASES:
            doors.play_menu(case, log_in, name=sshd.user)
