"""`authproxy login`: exit 0 accepted, 1 rejected, 2 unusable, 3 no answer and why; a forged answer is none."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from authproxy.cli import main, radius_client
from tests.cli.radius_server import Asked, FakeServer, radius_server
from tests.config.files import DIRECTORY, SKEY, written

SECRET = "0123456789abcdef"
CANARY = "c4n4ry-p4ssw0rd"


def section(
    port: int, clients: str = '[{name: me, ip: 127.0.0.1, secret: "0123456789abcdef"}]', more: str = ""
) -> str:
    return f"""\
radius_server_auto{"2" if "second" in more else ""}:
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: "{SKEY}"
  api_host: api-xxxxxxxx.example.com
  interface: 127.0.0.1
  port: {port}
  clients: {clients}
"""


class Typed:
    """Standard input with bytes behind it."""

    def __init__(self, *lines: str) -> None:
        self.buffer = io.BytesIO("".join(f"{line}\n" for line in lines).encode())


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def type_lines(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", Typed(*lines))

    return type_lines


def right_password(server: FakeServer, asked: Asked) -> list[bytes]:
    return [server.accept(asked, "Welcome.") if asked.password == b"right" else server.reject(asked, "No.")]


@pytest.mark.parametrize(
    ("password", "code", "said"), [("right", 0, "Accept: Welcome."), ("wrong", 1, "Reject: No.")]
)
def test_accepted_or_not(
    tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str], password: str, code: int, said: str
) -> None:
    typed(password)
    with radius_server(right_password) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        words = ["login", "-c", str(path), "--section", "radius_server_auto", "alice", "--password-stdin"]
        assert main(words) == code
    assert capsys.readouterr().out == f"{said}\n"
    (asked,) = server.asked
    assert (asked.user, asked.password, asked.octets[20]) == ("alice", password.encode(), 80)


def test_the_password_is_octets(tmp_path: Path, typed: Any) -> None:
    typed("  pässwörd,\t")
    with radius_server(right_password) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 1
    assert server.asked[0].password == "  pässwörd,\t".encode()


def test_challenges_are_answered(tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def script(server: FakeServer, asked: Asked) -> list[bytes]:
        if asked.state is None:
            return [server.challenge(asked, "1. push\n2. passcode\x1b[2J", b"S1", (76, b"\0\0\0\1"))]
        if asked.state == b"S1":
            return [server.challenge(asked, "Passcode?", b"S2")]
        return [server.accept(asked) if asked.password == b"123456" else server.reject(asked)]

    typed("right", "2", "123456")
    with radius_server(script) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        assert main(["login", "-c", str(path), "--password-stdin", "--json", "alice"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["answer"] == "accept"
    assert shown.err == "1. push\n2. passcode[2J\nPasscode?\n"
    assert [asked.state for asked in server.asked] == [None, b"S1", b"S2"]


@pytest.mark.parametrize("name", ["", " "])
def test_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    path = written(tmp_path, DIRECTORY + section(1812))
    assert main(["login", "-c", str(path), "--password-stdin", name]) == 2
    assert "USER is empty" in capsys.readouterr().err


def test_nothing_on_standard_input(tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed()
    path = written(tmp_path, DIRECTORY + section(1812))
    assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 2
    assert "standard input is empty: its first line has to be the password" in capsys.readouterr().err


def test_a_question_without_an_answer(tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed("right")
    with radius_server(lambda server, asked: [server.challenge(asked, "Which?", b"S1")]) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 2
    assert "no more lines" in capsys.readouterr().err


def test_what_is_visible_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 2869 §5.10: Prompt says whether an answer may be seen."""
    asked_for: list[str] = []

    def hidden(question: str) -> str:
        asked_for.append(question)
        return "right"

    def script(server: FakeServer, asked: Asked) -> list[bytes]:
        if asked.state is None:
            return [server.challenge(asked, "Which?", b"S1", (76, b"\0\0\0\1"))]
        return [server.accept(asked)]

    monkeypatch.setattr("getpass.getpass", hidden)
    monkeypatch.setattr(sys, "stdin", io.StringIO("push\n"))
    with radius_server(script) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        assert main(["login", "-c", str(path), "alice"]) == 0
    assert asked_for == ["Password of alice: "]
    assert [asked.password for asked in server.asked] == [b"right", b"push"]


def test_lost_packets_are_sent_again(tmp_path: Path, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(radius_client, "_FIRST_WAIT", 0.02)

    def script(server: FakeServer, asked: Asked) -> list[bytes]:
        return [server.accept(asked)] if len(server.asked) == 3 else []

    typed("right")
    with radius_server(script) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 0
    assert len({asked.octets for asked in server.asked}) == 1  # RFC 5080 §2.2.1: the same octets


def forgeries(server: FakeServer, asked: Asked) -> list[bytes]:
    right = server.accept(asked)
    return [
        server.accept(asked, secret=b"another secret!!"),
        server.accept(asked, signed=False),
        right[:1] + bytes([right[1] ^ 1]) + right[2:],
        bytes([3]) + right[1:],
        right[:-1] + bytes([right[-1] ^ 1]),
        b"",
        b"junk",
    ]


def test_forged_answers_are_none(tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed(CANARY)
    with radius_server(forgeries) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        assert main(["login", "-c", str(path), "--password-stdin", "--timeout", "0.5", "alice"]) == 3
    shown = capsys.readouterr()
    assert "can't be trusted" in shown.out
    assert "the proxy uses another secret for client me" in shown.out
    assert CANARY not in shown.out + shown.err
    assert SECRET not in shown.out + shown.err


def test_a_right_answer_behind_forged_ones(tmp_path: Path, typed: Any) -> None:
    typed("right")
    with radius_server(lambda server, asked: [*forgeries(server, asked), server.accept(asked)]) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 0


def test_an_unsigned_answer_where_the_client_is_said_to_drop_signed_ones(tmp_path: Path, typed: Any) -> None:
    typed("right")
    clients = f'[{{name: old, ip: 127.0.0.1, secret: "{SECRET}", omit_message_authenticator: true}}]'
    with radius_server(lambda server, asked: [server.accept(asked, signed=False)]) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1], clients))
        assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 0


def test_silence_has_its_reasons(tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed("right", "right")
    with radius_server(lambda server, asked: []) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        words = ["login", "-c", str(path), "--password-stdin", "--timeout", "0.1", "alice"]
        assert main(words) == 3
        said = capsys.readouterr().out
        assert all(word in said for word in ("message_authenticator", "unknown_client", "isn't running"))
        assert main([*words, "--json"]) == 3
        assert json.loads(capsys.readouterr().out)["answer"] == "none"


def test_nobody_listens(tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with radius_server(lambda server, asked: []) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
    typed("right")
    assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 3
    assert "nothing listens at 127.0.0.1:" in capsys.readouterr().out


CLIENTS = f"""[{{name: wide, ip: 127.0.0.0/8, secret: "the wrong secret"}},
    {{name: narrow, ip: [10.0.0.1, 127.0.0.1], secret: "{SECRET}"}}]"""


@pytest.mark.parametrize(
    ("clients", "options", "code"),
    [
        (CLIENTS, [], 0),  # the most specific network's secret
        (CLIENTS, ["--source", "127.0.0.2", "--timeout", "0.2"], 3),
        (f'[{{ip: 127.0.0.9, secret: "{SECRET}"}}]', [], 0),  # another address of this machine
        (f'[{{ip: 10.0.0.1, secret: "{SECRET}"}}]', [], 2),
        (CLIENTS, ["--source", "10.255.255.1"], 2),
        (CLIENTS, ["--source", "here"], 2),
        (CLIENTS, ["--server", "nonsense"], 2),
        (CLIENTS, ["--server", "127.0.0.1:99999"], 2),
        (CLIENTS, ["--section", "radius_server_nothing"], 2),
    ],
)
def test_as_whom(tmp_path: Path, typed: Any, clients: str, options: list[str], code: int) -> None:
    typed("right")
    with radius_server(right_password) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1], clients))
        assert main(["login", "-c", str(path), "--password-stdin", *options, "alice"]) == code


def test_which_section(tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed("right")
    with radius_server(right_password) as server:
        whole = DIRECTORY + section(1812) + section(server.address[1], more="second") + "  name: vpn\n"
        path = written(tmp_path, whole)
        assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 2
        assert "--section radius_server_auto | radius_server_auto2" in capsys.readouterr().err
        assert main(["login", "-c", str(path), "--password-stdin", "--section", "vpn", "alice"]) == 0


def test_any_free_port_has_to_be_named(
    tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("right")
    with radius_server(right_password) as server:
        path = written(tmp_path, DIRECTORY + section(0))
        words = ["login", "-c", str(path), "--password-stdin", "alice"]
        assert main(words) == 2
        assert "--server" in capsys.readouterr().err
        assert main([*words, "--server", f"localhost:{server.address[1]}"]) == 0


def test_ipv6(tmp_path: Path, typed: Any) -> None:
    typed("right")
    with radius_server(right_password, host="::1") as server:
        clients = f'[{{ip: "::1", secret: "{SECRET}"}}]'
        whole = DIRECTORY + section(server.address[1], clients).replace(
            "interface: 127.0.0.1", 'interface: "::1"'
        )
        assert main(["login", "-c", str(written(tmp_path, whole)), "--password-stdin", "alice"]) == 0


def test_what_radius_cannot_carry(tmp_path: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed("x" * 129)
    with radius_server(right_password) as server:
        path = written(tmp_path, DIRECTORY + section(server.address[1]))
        assert main(["login", "-c", str(path), "--password-stdin", "alice"]) == 2
    assert "can't be sent by RADIUS" in capsys.readouterr().err


def test_a_bad_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "radius_server_auto:\n  ikey: x\n")
    assert main(["login", "-c", str(path), "alice"]) == 2
    assert "skey" in capsys.readouterr().err


def test_no_password_in_the_arguments() -> None:
    with pytest.raises(SystemExit):
        main(["login", "alice", CANARY])
