"""`shared_state`: what nodes need in common, and what is told of a mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.config.convert import convert
from authproxy.config.load import load_text
from authproxy.config.model import SharedState, StoreTransport
from authproxy.secret import Secret
from tests.config.files import CFG_WHOLE, WHOLE, loaded, problems, warnings, written

KEY = "k" * 40
YAML = f'main:\n  challenge_key: "{KEY}"\n' + WHOLE + "shared_state:\n  host: redis.corp.example\n"
CFG = f"[main]\nchallenge_key={KEY}\n" + CFG_WHOLE + "[shared_state]\nhost=redis.corp.example\n"
PASSWORD = '  password: "opensesame"\n'


def shared(folder: Path, text: str, name: str = "authproxy.yaml") -> SharedState:
    return loaded(folder, text, name).config.all(SharedState)["shared_state"]


def test_what_is_usual(tmp_path: Path) -> None:
    options = shared(tmp_path, YAML + PASSWORD)
    assert (options.port, options.transport, options.timeout, options.nodes) == (
        6379,
        StoreTransport.TLS,
        0.5,
        2,
    )
    assert options.password == Secret(b"opensesame")
    assert "opensesame" not in repr(options)


def test_in_the_other_syntax(tmp_path: Path) -> None:
    text = CFG + "port=6380\ntransport=clear\nusername=nodes\npassword=opensesame\nnodes=3\n"
    options = shared(tmp_path, text, "authproxy.cfg")
    assert (options.port, options.transport, options.nodes) == (6380, StoreTransport.CLEAR, 3)
    made = convert(written(tmp_path, text, "authproxy.cfg"), tmp_path)
    again = load_text(made.yaml, tmp_path / "a.yaml", {}).config.all(SharedState)["shared_state"]
    assert again == options


def test_it_needs_a_key_in_common(tmp_path: Path) -> None:
    text = WHOLE + "shared_state:\n  host: redis.corp.example\n"
    (problem,) = problems(tmp_path, text)
    assert "shared_state: needs main.challenge_key, the same on every node" in problem


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("  username: nodes\n", "username: has no effect without password"),
        (PASSWORD + "  transport: clear\n  ssl_server_name: a.example\n", "ssl_server_name: has no effect"),
        ("  nodes: 0\n", "nodes"),
        ("  timeout: 60\n", "timeout"),
        ("  host: redis://redis.corp.example\n", "host"),
        ("  sentinel: a\n", "unknown option"),
    ],
)
def test_mistakes(tmp_path: Path, more: str, what: str) -> None:
    text = YAML.replace("  host: redis.corp.example\n", "") + more if "host" in more else YAML + more
    assert any(what in problem for problem in problems(tmp_path, text)), problems(tmp_path, text)


def test_only_one(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, YAML + PASSWORD + "shared_state2:\n  host: other.example\n")
    assert "there can be only one section shared_state" in problem


def test_risks(tmp_path: Path) -> None:
    told = warnings(tmp_path, YAML + "  transport: clear\n")
    assert any("shared_state.transport: clear" in warning for warning in told)
    assert any("shared_state.password: not set" in warning for warning in told)
    here = YAML.replace("redis.corp.example", "127.0.0.1") + PASSWORD + "  transport: clear\n"
    assert not any("shared_state" in warning for warning in warnings(tmp_path, here))
