"""The options of an open door, in both syntaxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.config.model import RadiusServerAuto
from authproxy.config.model.radius_server import RadiusServer
from authproxy.pipeline.fail_mode import FailMode

from .files import CFG_WHOLE, SERVER, WHOLE, loaded, problems, warnings

SAFE = WHOLE + "  failmode: safe\n"
GROUP = "CN=Domain Admins,CN=Users,DC=corp,DC=example"
LIMITS = f"""\
  fail_open_max_minutes: 60
  fail_open_max_per_hour: 100
  fail_open_never_users: [administrator, root]
  fail_open_never_groups: ["{GROUP}"]
  fail_open_seen_within_days: 30
  fail_open_class: OU=Restricted
  fail_open_filter_id: "{"é" * 126}x"
  fail_open_reply_message: "No second factor, = and: all"
"""
CFG_LIMITS = f"""\
failmode=safe
fail_open_max_minutes=60
fail_open_max_per_hour=100
fail_open_never_user_1=administrator
fail_open_never_user_2=root
fail_open_never_group_1={GROUP}
fail_open_seen_within_days=30
fail_open_class=OU=Restricted
fail_open_filter_id={"é" * 126}x
fail_open_reply_message=No second factor, = and: all
"""


@pytest.mark.parametrize(
    ("name", "text"), [("authproxy.yaml", SAFE + LIMITS), ("authproxy.cfg", CFG_WHOLE + CFG_LIMITS)]
)
def test_limits(tmp_path: Path, name: str, text: str) -> None:
    server: RadiusServer
    (server,) = loaded(tmp_path, text, name).config.all(RadiusServerAuto).values()
    assert (server.failmode, server.fail_open_max_minutes, server.fail_open_max_per_hour) == (
        FailMode.SAFE,
        60,
        100,
    )
    assert server.fail_open_never_users == ("administrator", "root")
    assert server.fail_open_never_groups == (GROUP,)
    assert server.fail_open_seen_within_days == 30
    assert server.fail_open_class == "OU=Restricted"
    assert len(server.fail_open_filter_id.encode()) == 253
    assert server.fail_open_reply_message == "No second factor, = and: all"


@pytest.mark.parametrize(
    ("name", "text"), [("authproxy.yaml", SAFE), ("authproxy.cfg", CFG_WHOLE + "failmode=safe\n")]
)
def test_no_door_is_open_for_ever_by_default(tmp_path: Path, name: str, text: str) -> None:
    (server,) = loaded(tmp_path, text, name).config.all(RadiusServerAuto).values()
    assert server.fail_open_max_minutes == 1440


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("  fail_open_max_minutes: -1\n", "fail_open_max_minutes: "),
        ("  fail_open_max_minutes: 43201\n", "fail_open_max_minutes: "),
        ("  fail_open_max_per_hour: many\n", "fail_open_max_per_hour: "),
        ('  fail_open_never_users: ["a\\u200bb"]\n', "fail_open_never_users"),
        ("  fail_open_never_groups: [Domain Admins]\n", "not a DN"),
        ("  fail_open_never_group: x\n", "unknown option"),
        (f'  fail_open_class: "{"é" * 127}"\n', "fail_open_class: 254 bytes; an attribute holds 253"),
        ('  fail_open_filter_id: ""\n', "fail_open_filter_id: has no value"),
        ('  fail_open_reply_message: "a\\nb"\n', "control character"),
    ],
)
def test_faults(tmp_path: Path, more: str, expected: str) -> None:
    (problem,) = problems(tmp_path, SAFE + more)
    assert expected in problem


def test_groups_need_a_directory(tmp_path: Path) -> None:
    text = 'radius_client: {host: 10.0.0.1, secret: "0123456789abcdef"}\n' + SERVER + "  failmode: safe\n"
    (problem,) = problems(tmp_path, text + f'  fail_open_never_groups: ["{GROUP}"]\n')
    assert "only a directory knows groups" in problem


def test_what_has_no_effect_is_said(tmp_path: Path) -> None:
    told = warnings(tmp_path, WHOLE + LIMITS)
    assert [text for text in told if "has no effect: failmode is secure" in text] == [
        text for text in told if "fail_open_" in text
    ]
    assert len([text for text in told if "fail_open_" in text]) == 7


def test_a_door_without_an_end_is_said(tmp_path: Path) -> None:
    told = warnings(tmp_path, SAFE + "  fail_open_max_minutes: 0\n")
    assert any("on a password alone for as long as the outage lasts" in text for text in told)


@pytest.mark.parametrize("word", ["silent", "Silent"])
def test_silent(tmp_path: Path, word: str) -> None:
    for name, text in (
        ("authproxy.yaml", WHOLE + f"  failmode: {word}\n"),
        ("authproxy.cfg", CFG_WHOLE + f"failmode={word}\n"),
    ):
        (server,) = loaded(tmp_path, text, name).config.all(RadiusServerAuto).values()
        assert server.failmode is FailMode.SILENT
