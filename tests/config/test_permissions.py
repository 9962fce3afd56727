"""S4: a file that others can change starts nothing; a secret that others can read is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from authproxy.config.load import load
from authproxy.config.permissions import Exposure, exposures
from authproxy.config.problems import InvalidConfig
from tests.config.files import DIRECTORY, SERVER, WHOLE, loaded, problems, written

NO_SECRETS = (
    WHOLE.replace('"opensesame"', "{env: A}")
    .replace(f'"{"S" * 40}"', "{env: B}")
    .replace('"0123456789abcdef"', "{env: C}")
)
ENVIRON = {"A": "opensesame", "B": "S" * 40, "C": "0123456789abcdef"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that others can get at: pytest's own are closed, and a closed folder protects what is in it."""
    made = tmp_path / "open"
    made.mkdir(mode=0o755)
    for above in made.parents:
        if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
            above.chmod(0o755)
    return made


def outcome(folder: Path, text: str, mode: int) -> str:
    path = written(folder, text, mode=mode)
    try:
        found = [str(warning) for warning in load(path, ENVIRON).warnings]
    except InvalidConfig as invalid:
        return f"refused: {invalid}"
    return next((f"warned: {warning}" for warning in found if "can be" in warning), "fine")


@pytest.mark.parametrize(
    ("mode", "with_secrets", "without"),
    [
        (0o600, "fine", "fine"),
        (0o400, "fine", "fine"),
        (0o640, "fine", "fine"),
        (0o644, "warned", "fine"),
        (0o604, "warned", "fine"),
        (0o602, "refused", "refused"),
        (0o666, "refused", "refused"),
    ],
)
def test_the_matrix(folder: Path, mode: int, with_secrets: str, without: str) -> None:
    assert outcome(folder, WHOLE, mode).startswith(with_secrets)
    assert outcome(folder, NO_SECRETS, mode).startswith(without)


@pytest.mark.parametrize(
    ("rule", "readable", "writable"),
    [("strict", "refused", "refused"), ("normal", "warned", "refused"), ("warn", "warned", "warned")],
)
def test_the_administrators_rule(folder: Path, rule: str, readable: str, writable: str) -> None:
    text = f"main:\n  file_permissions: {rule}\n{WHOLE}"
    assert outcome(folder, text, 0o644).startswith(readable)
    assert outcome(folder, text, 0o646).startswith(writable)


def test_a_folder_that_others_can_write(folder: Path) -> None:
    folder.chmod(0o777)
    assert "can be replaced by everyone: chmod go-w" in outcome(folder, WHOLE, 0o600)
    folder.chmod(0o1777)
    assert outcome(folder, WHOLE, 0o600) == "fine"


def test_a_folder_above(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    folder.chmod(0o777)
    assert "can be replaced by everyone: chmod o-w" in outcome(inner, WHOLE, 0o600)


def test_files_that_the_configuration_names(folder: Path) -> None:
    written(folder, "opensesame", "secret", 0o644)
    written(folder, "pem", "ca.pem", 0o646)
    text = DIRECTORY.replace('"opensesame"', "{file: secret}") + "  ssl_ca_certs_file: ca.pem\n" + SERVER
    path = folder / "ca.pem"
    assert problems(folder, text) == [
        f"authproxy.yaml:6: ad_client.ssl_ca_certs_file: {path} can be changed by everyone: chmod go-w {path}"
    ]
    (folder / "ca.pem").chmod(0o644)
    (warning,) = (str(found) for found in loaded(folder, text).warnings if "can be" in found.what)
    assert warning.endswith(
        f"authproxy.yaml:4: ad_client.service_account_password: {folder}/secret can be read by everyone: "
        f"chmod o-r {folder}/secret"
    )


def test_a_link_is_as_good_as_what_it_leads_to(folder: Path) -> None:
    written(folder, "x", "real", 0o666)
    (folder / "link").symlink_to(folder / "real")
    assert [found.exposure for found in exposures(folder / "link", secret=False)] == [Exposure.WRITABLE]


def test_a_group_of_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(folder, "x", "file", 0o660)
    monkeypatch.setattr("authproxy.config.permissions._private_group", lambda status: False)
    (found,) = exposures(path, secret=True)
    assert found.exposure is Exposure.WRITABLE
    assert "can be changed by the group" in found.what


def test_a_group_of_ones_own(folder: Path) -> None:
    """Debian gives each user a group; root's group is root."""
    assert list(exposures(written(folder, "x", "file", 0o660), secret=True)) == []


def test_a_closed_folder_protects_what_is_in_it(folder: Path) -> None:
    path = written(folder, "x", "file", 0o644)
    assert [found.exposure for found in exposures(path, secret=True)] == [Exposure.READABLE]
    folder.chmod(0o700)
    assert list(exposures(path, secret=True)) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("folder", "state can be changed by everyone: chmod go-w"),
        ("key", "key can be changed by everyone: chmod go-w"),
    ],
)
def test_a_state_that_others_can_write(folder: Path, change: str, what: str) -> None:
    """Whoever writes there orders primary-only, and proves credentials that never were."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    (state / "key").touch(mode=0o600)
    text = f"main:\n  state_dir: {state}\n{WHOLE}"
    assert outcome(folder, text, 0o600) == "fine"
    (state if change == "folder" else state / "key").chmod(0o777)
    assert outcome(folder, text, 0o600).startswith("refused: ")
    assert f"authproxy.yaml:2: main.state_dir: {state.parent}" in outcome(folder, text, 0o600)
    assert what in outcome(folder, text, 0o600)
    assert outcome(folder, text.replace("main:", "main:\n  file_permissions: warn"), 0o600).startswith(
        "warned"
    )


def test_the_root_folder() -> None:
    """Nothing is above it; who writes `state_dir: /` gets no traceback."""
    assert all(found.exposure is Exposure.WRITABLE for found in exposures(Path("/"), secret=False))
