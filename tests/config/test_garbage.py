"""Whatever a file holds, it loads or raises InvalidConfig; never anything else, and never after a long time."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authproxy.config.load import load, load_text
from authproxy.config.problems import InvalidConfig, Problem
from authproxy.config.source import decoded
from tests.config.files import CFG_WHOLE, DIRECTORY, SKEY, WHOLE, problems, written

VALUES = st.sampled_from(
    [
        *(
            "",
            "~",
            "no",
            "0",
            "-1",
            "1e9",
            "[]",
            "{}",
            "[[]]",
            "{a: {b: [c]}}",
            "[a, b]",
            "{file: x}",
            "{file: [x]}",
        ),
        *(
            '""',
            r'"\0"',
            r'"\ud800"',
            r'"\n"',
            "!!set {a}",
            "&a b",
            "*a",
            "|",
            ">-",
            "'",
            "- a",
            "? a",
            "2024-01-01",
        ),
        *(
            "::1",
            "10.0.0.0/8",
            "localhost",
            "/",
            "a" * 300,
            "99999999999999999999",
            "{env: HOME}",
            "{protected: v1.x}",
        ),
        *(
            "{protected: v1." + "A" * 60 + "}",
            "ad_client",
            "radius_server_auto",
            "main",
            "é",
            "\u2028",
            "$(id)",
            "%s",
        ),
    ]
) | st.text(st.characters(codec="utf-8"), max_size=12)


def loads_or_raises(text: str, name: str) -> None:
    told: tuple[Problem, ...] = ()
    try:
        load_text(text, Path(name), {})
    except InvalidConfig as invalid:
        told = invalid.problems
        if not told:
            pytest.fail("refused without a word")
    assert not any("\n" in str(problem) for problem in told)


def changed(text: str, mark: str, draw: st.DrawFn) -> str:
    lines = (
        "main:\n  state_dir: x\n" + text if mark == ": " else "[main]\nstate_dir=x\n" + text
    ).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        name, found, _ = lines[number].partition(mark)
        match draw(st.integers(0, 3)):
            case 0:
                lines[number] = f"{name}{found}{draw(VALUES)}"
            case 1:
                del lines[number]
                lines = lines or [""]
            case 2:
                lines.insert(number, lines[draw(st.integers(0, len(lines) - 1))])
            case _:
                lines.insert(number, f"  {draw(VALUES)}{mark}{draw(VALUES)}")
    return "\n".join(lines)


@settings(max_examples=400)
@given(st.data())
def test_a_yaml_file_gone_wrong(data: st.DataObject) -> None:
    loads_or_raises(data.draw(st.composite(lambda draw: changed(WHOLE, ": ", draw))()), "a.yaml")


@settings(max_examples=200)
@given(st.data())
def test_a_cfg_file_gone_wrong(data: st.DataObject) -> None:
    loads_or_raises(data.draw(st.composite(lambda draw: changed(CFG_WHOLE, "=", draw))()), "a.cfg")


@given(
    option=st.sampled_from(
        ["host", "search_dn", "ldap_filter", "port", "timeout", "ssl_ca_certs_file", "bind_dn"]
    ),
    value=VALUES,
)
def test_any_value_of_any_option(option: str, value: str) -> None:
    loads_or_raises(WHOLE.replace("ad_client:\n", f"ad_client:\n  {option}: {value}\n", 1), "a.yaml")


@given(st.binary(max_size=300))
def test_octets(octets: bytes) -> None:
    with contextlib.suppress(InvalidConfig):
        assert isinstance(decoded(octets, Path("a.yaml")), str)


@pytest.mark.parametrize("place", ["configuration", "secret", "certificate"])
def test_a_fifo_is_not_waited_for(tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    if place == "configuration":
        with pytest.raises(InvalidConfig, match="not a regular file"):
            load(tmp_path / "fifo.yaml", {})
        return
    secret = WHOLE.replace('"opensesame"', "{file: fifo.yaml}")
    certificate = WHOLE.replace("ad_client:\n", "ad_client:\n  ssl_ca_certs_file: fifo.yaml\n")
    (problem,) = problems(tmp_path, secret if place == "secret" else certificate)
    assert "not a regular file" in problem


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        "".join(f"optoin{n}: 1\n" for n in range(60_000)),
        DIRECTORY + "".join(f"  hots{n}: 1\n" for n in range(60_000)),
        "a: [" + "x, " * 300_000 + "]\n",
        "a: " + "1" * 1_000_000 + "\n",
        DIRECTORY + "radius_server_auto:\n  api_host: " + "a." * 400_000 + "\n",
    ],
    ids=["sections", "options", "list", "number", "name"],
)
def test_the_largest_file_is_read_in_seconds(tmp_path: Path, text: str) -> None:
    began = time.process_time()
    assert problems(tmp_path, text)
    assert time.process_time() - began < 60


def test_thousands_of_clients_on_one_port(tmp_path: Path) -> None:
    def clients(second: int) -> str:
        return "".join(
            f'    - {{ip: 10.{second + (n >> 8)}.{n & 255}.0/24, secret: "{SKEY}"}}\n' for n in range(2000)
        )

    head = WHOLE[: WHOLE.index("    - ")]
    server = head[head.index("radius_server_auto") :].replace("auto:", "auto2:")
    path = written(tmp_path, head + clients(0) + server + clients(100))
    assert len(load(path, {}).config.sections) == 3
    path = written(tmp_path, head + clients(0) + server + clients(7))
    with pytest.raises(InvalidConfig) as invalid:
        load(path, {})
    assert len(invalid.value.problems) == 2000 - 7 * 256
