"""`attributes` in both syntaxes, and every mistake at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.config.convert import convert
from authproxy.config.model import RadiusServerAuto
from authproxy.config.model.attributes import AttributeRule, AttributesFrom
from tests.config.files import CFG_DIRECTORY, CFG_SERVER, CFG_WHOLE, SERVER, WHOLE, loaded, problems, written

GROUP = "CN=Admins,OU=Groups,DC=corp,DC=example"
IN_YAML = f"""\
  attributes:
    - group: {GROUP}
      send: [Class = admins, 'Filter-Id = "a, b"', "Cisco-AVPair += shell:priv-lvl=15"]
    - {{user: Alice, send: Class = alice}}
    - send: [Class = others]
  attributes_from: all
"""
IN_CFG = f"""\
attribute_group_1={GROUP}
attribute_send_1=Class = admins, Filter-Id = "a, b", Cisco-AVPair += shell:priv-lvl=15
attribute_user_2=Alice
attribute_send_2=Class = alice
attribute_send_3=Class = others
attributes_from=all
"""
EXPECTED = (
    AttributeRule(
        group=GROUP, send=("Class = admins", 'Filter-Id = "a, b"', "Cisco-AVPair += shell:priv-lvl=15")
    ),
    AttributeRule(user="Alice", send=("Class = alice",)),
    AttributeRule(send=("Class = others",)),
)


@pytest.mark.parametrize(
    ("text", "name"), [(WHOLE + IN_YAML, "authproxy.yaml"), (CFG_WHOLE + IN_CFG, "authproxy.cfg")]
)
def test_both_syntaxes(tmp_path: Path, text: str, name: str) -> None:
    section = loaded(tmp_path, text, name).config.all(RadiusServerAuto)["radius_server_auto"]
    assert section.attributes == EXPECTED
    assert section.attributes_from is AttributesFrom.ALL


def test_converted(tmp_path: Path) -> None:
    converted = convert(written(tmp_path, CFG_WHOLE + IN_CFG, "authproxy.cfg"), tmp_path).yaml
    section = loaded(tmp_path, converted).config.all(RadiusServerAuto)["radius_server_auto"]
    assert section.attributes == EXPECTED


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("- {send: Class}", "attributes[0].send[0]: NAME = VALUE"),
        ("- {send: [Class = x, 'Class = \"x']}", "attributes[0].send[1]: Class: the quotes"),
        ("- {group: staff, send: Class = x}", "attributes[0].group: not a DN"),
        (f"- {{group: '{GROUP}', user: bob, send: Class = x}}", "attributes[0].user: there is also a group"),
        ("- {user: bob}", "attributes[0].send: missing"),
        ("- {user: bob, send: Class = x, sent: y}", "attributes[0].sent: unknown"),
        (
            "- {user: bob, send: Class = x}\n    - {user: BOB, send: Class = y}",
            "attributes[1]: there is already an",
        ),
        ("- {send: Class = x}\n    - {send: Class = y}", "entry for users whom no other entry matches"),
    ],
)
def test_mistakes(tmp_path: Path, rules: str, expected: str) -> None:
    (problem,) = problems(tmp_path, f"{WHOLE}  attributes:\n    {rules}\n")
    assert expected in problem


def test_a_mistake_in_a_cfg_has_its_line(tmp_path: Path) -> None:
    text = CFG_WHOLE + "attribute_send_1=Class = a\nattribute_user_2=bob\n"
    (problem,) = problems(tmp_path, text, "authproxy.cfg")
    assert f":{text.count(chr(10))}: radius_server_auto.attribute_send_2: missing" in problem


def test_groups_need_a_directory(tmp_path: Path) -> None:
    primary = 'radius_client:\n  host: 10.0.0.1\n  secret: "0123456789abcdef"\n'
    (problem,) = problems(
        tmp_path, f"{primary}{SERVER}  attributes:\n    - {{group: '{GROUP}', send: Class = x}}\n"
    )
    assert "attributes[0].group: only a directory knows groups" in problem
    assert loaded(tmp_path, f"{primary}{SERVER}  attributes:\n    - {{user: bob, send: Class = x}}\n")


def test_a_gap_in_the_numbers(tmp_path: Path) -> None:
    text = CFG_DIRECTORY + CFG_SERVER + "attribute_send_1=Class = a\nattribute_send_3=Class = b\n"
    assert "attribute_send_2 is missing" in problems(tmp_path, text, "authproxy.cfg")[0]


def test_a_push_limit_of_none_is_warned_of(tmp_path: Path) -> None:
    """A11."""
    warnings = loaded(tmp_path, f"main:\n  push_limit: 0\n{WHOLE}").warnings
    assert any("main.push_limit: 0: whoever knows a password" in str(warning) for warning in warnings)
    text = f"[main]\npush_limit=5\npush_limit_window=60\n{CFG_WHOLE}failures_per_station=7\n"
    config = loaded(tmp_path, text, "authproxy.cfg").config
    assert (config.main.push_limit, config.main.push_limit_window) == (5, 60)
    assert config.all(RadiusServerAuto)["radius_server_auto"].failures_per_station == 7
