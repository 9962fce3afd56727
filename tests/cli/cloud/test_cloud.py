"""`authproxy cloud`: all of it from a script, while the service runs or not."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duo_client
import pyotp
import pytest

from authproxy.cli import main

Run = Any


@pytest.fixture
def cloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """cloud(words…) -> (exit code, what was printed as JSON, what was complained)."""

    def run(*words: str, data: Path = tmp_path / "data") -> tuple[int, Any, str]:
        code = main(["cloud", *words, "--data", str(data), "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else None, printed.err

    return run


def test_applications(cloud: Run, tmp_path: Path) -> None:
    code, made, _ = cloud(
        "application", "add", "vpn", "--remember-hours", "2", "--factors", "push", "passcode"
    )
    assert code == 0
    assert re.fullmatch("DI[A-Z0-9]{18}", made["ikey"])
    assert re.fullmatch("[A-Za-z0-9]{40}", made["skey"])
    code, listed, _ = cloud("application", "list")
    assert listed[0]["factors"] == ["passcode", "push"]
    assert made["skey"] not in json.dumps(listed)
    assert cloud("application", "add", "vpn")[0] == 1
    assert "already" in cloud("application", "add", "vpn")[2]
    file = tmp_path / "skey"
    code, made, _ = cloud("application", "add", "wiki", "--skey-file", str(file))
    assert "skey" not in made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) == 40
    assert cloud("application", "policy", "wiki", "--new-users", "deny")[1]["new_users"] == "deny"
    assert cloud("application", "remove", "wiki")[0] == 0
    assert cloud("application", "remove", "wiki")[0] == 1
    assert cloud("application", "add", "bad\nname")[0] == 1
    assert cloud("application", "add", "x", "--remember-hours", "-1")[0] == 1


def test_users_and_devices(cloud: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, made, _ = cloud("user", "add", "Alice", "--invite")
    assert (code, made["username"]) == (0, "alice")
    assert made["code"]
    assert cloud("user", "add", "alice")[0] == 1
    assert cloud("user", "add", "a\u202eb")[0] == 1
    code, phone, _ = cloud("device", "add-phone", "alice", "+49 151 2345678", "--name", "work")
    assert phone["can"] == ["auto", "sms", "phone"]
    assert cloud("device", "add-phone", "alice", "call me")[0] == 1
    code, token, _ = cloud("device", "add-token", "alice")
    assert pyotp.TOTP(token["secret"]).now()
    monkeypatch.setattr("sys.stdin", _Lines("JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP\n"))
    code, fob, _ = cloud("device", "add-token", "alice", "--kind", "hotp", "--digits", "8", "--secret-stdin")
    assert "secret" not in fob
    for bad in ("JBSWY3DPEHPK3PXP\n", "not base32!\n"):
        monkeypatch.setattr("sys.stdin", _Lines(bad))
        assert cloud("device", "add-token", "alice", "--secret-stdin")[0] == 1
    assert [device["device"] for device in cloud("device", "list", "alice")[1]] == [
        phone["device"],
        token["device"],
        fob["device"],
    ]
    assert "/activate/" in cloud("device", "move", phone["device"])[1]["link"]
    assert cloud("device", "move", token["device"])[0] == 1
    assert cloud("device", "remove", token["device"])[0] == 0
    assert cloud("device", "remove", token["device"])[0] == 1
    assert len(cloud("user", "bypass", "alice", "--count", "3")[1]["codes"]) == 3
    assert cloud("user", "bypass", "alice", "--count", "11")[0] == 1
    assert cloud("user", "status", "alice", "bypass")[0] == 0
    assert cloud("user", "list")[1][0]["status"] == "bypass"
    code, rules, _ = cloud("user", "policy", "alice", "--factors", "push", "--without-device", "deny")
    assert (code, rules["factors"], rules["without_device"]) == (0, ["push"], "deny")
    assert cloud("user", "list")[1][0]["factors"] == ["push"]
    assert cloud("user", "policy", "alice")[1]["factors"] == []
    assert cloud("user", "policy", "nobody")[0] == 1
    assert cloud("user", "unlock", "alice")[0] == 0
    assert cloud("user", "invite", "alice")[0] == 0
    assert cloud("user", "remove", "alice")[0] == 0
    assert cloud("user", "remove", "alice")[0] == 1
    whats = {row["what"] for row in cloud("log", "--last", "50")[1]}
    assert {"user.added", "device.added", "device.moved", "user.removed"} <= whats


class _Lines:
    def __init__(self, line: str) -> None:
        self._line = line

    def readline(self) -> str:
        return self._line

    def isatty(self) -> bool:
        return False


def test_administrators(cloud: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", _Lines("too short\n"))
    assert cloud("admin", "add", "root", "--password-stdin")[0] == 1
    monkeypatch.setattr("sys.stdin", _Lines("long enough by far\n"))
    code, made, _ = cloud("admin", "add", "root", "--password-stdin")
    assert code == 0
    assert pyotp.TOTP(made["secret"]).now()
    assert cloud("admin", "add", "root", "--password-stdin")[0] == 1
    assert cloud("admin", "list")[1] == [{"name": "root"}]
    assert cloud("admin", "remove", "root")[0] == 0
    assert cloud("admin", "remove", "root")[0] == 1


def test_a_folder_that_cannot_be_used(cloud: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, complaint = cloud("user", "list", data=tmp_path / "file" / "x")
    assert code == 1
    assert "file" in complaint


def test_tables_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path / "data")]
    assert main(["cloud", "user", "list", *data]) == 0
    assert "There are no users" in capsys.readouterr().out
    main(["cloud", "user", "add", "alice", *data])
    main(["cloud", "application", "add", "vpn", *data])
    assert "not shown again" in capsys.readouterr().out
    main(["cloud", "user", "list", *data])
    printed = capsys.readouterr().out
    heads = ["username", "user id", "status", "devices", "factors", "without device", "created"]
    assert printed.splitlines()[0].split() == " ".join(heads).split()
    assert printed.splitlines()[1].startswith("alice")


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--pages", "192.0.2.1:80"),
        ("serve", "--certificate", "x.pem"),
        ("serve", "--listen", "192.0.2.1:8443"),
        ("serve", "--certificate", "none.pem", "--key", "none.key"),
    ],
)
def test_what_cannot_be_served(cloud: Run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    # It is for a process of its own: other tests want their umask.
    monkeypatch.setattr("authproxy.service.process.harden", lambda: None)
    code, _, complaint = cloud(*words)
    assert code == 1
    assert len(complaint.splitlines()) == 1


@dataclass(frozen=True)
class Served:
    """The service as a process, and its addresses."""

    process: subprocess.Popen[str]
    port: int
    pages: str
    ca: str
    data: Path

    def client(self, made: dict[str, str]) -> Any:
        return duo_client.Auth(
            ikey=made["ikey"],
            skey=made["skey"],
            host="localhost",
            port=self.port,
            ca_certs=self.ca,
            timeout=20,
        )


@contextmanager
def serving(folder: Path, *more: str, port: int = 0) -> Iterator[Served]:
    data = folder / "data"
    command = [
        sys.executable, "-m", "authproxy", "cloud", "serve", "--data", str(data),
        "--listen", f"127.0.0.1:{port}", "--pages", "127.0.0.1:0", *more,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"API https://localhost:(\d+), pages (\S+), clients trust (\S+)", line)
            assert found, line
            yield Served(process, int(found[1]), found[2], found[3], data)
        finally:
            if process.poll() is None:
                process.terminate()
    assert process.wait(20) in {0, -signal.SIGKILL}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    sender = tmp_path / "sender"
    sender.write_text(f'#!/bin/sh\ncat >> "{tmp_path}/sent"\n')
    sender.chmod(0o755)
    with serving(tmp_path, "--sender", str(sender)) as running:
        yield running
    assert running.process.returncode == 0


@pytest.mark.system
def test_served_and_managed_at_once(served: Served, cloud: Run, tmp_path: Path) -> None:
    data = served.data
    _, made, _ = cloud("application", "add", "vpn", data=data)
    _, invited, _ = cloud("user", "add", "alice", "--invite", data=data)
    assert invited["link"].startswith(f"{served.pages}/enroll/")
    cloud("device", "add-phone", "alice", "+49 151 2345678", data=data)
    client = served.client(made)
    assert client.check()
    assert client.auth("sms", username="alice", device="auto")["status"] == "sent"
    txid = client.auth("phone", username="alice", device="auto", async_txn=True)["txid"]
    assert client.auth_status(txid)["status"] == "calling"
    (waiting,) = cloud("push", "list", data=data)[1]
    assert (waiting["txid"], waiting["username"]) == (txid, "alice")
    assert cloud("push", "approve", txid, data=data)[0] == 0
    assert client.auth_status(txid)["success"] is True
    assert cloud("push", "deny", txid, data=data)[0] == 1
    sent = [json.loads(line) for line in (tmp_path / "sent").read_text().replace("}{", "}\n{").splitlines()]
    assert [message["kind"] for message in sent] == ["sms", "phone"]
    assert sent[0]["number"] == "+49 151 2345678"
    code = sent[0]["message"].split()[1]
    assert client.auth("passcode", username="alice", passcode=code)["result"] == "allow"


@pytest.mark.system
def test_a_killed_service_has_lost_nothing_that_it_promised(cloud: Run, tmp_path: Path) -> None:
    """SIGKILL while pushes come in and are decided: every txid that was told, every decision that was acknowledged."""
    with serving(tmp_path) as first:
        _, made, _ = cloud("application", "add", "vpn", data=first.data)
        users = [f"user{number}" for number in range(4)]
        for user in users:
            cloud("user", "add", user, data=first.data)
            cloud("device", "add-phone", user, "+49 151 2345678", data=first.data)
        told = {user: _ask(first.client(made), user) for user in users}
        assert cloud("push", "approve", told["user0"], data=first.data)[0] == 0
        assert cloud("push", "deny", told["user1"], data=first.data)[0] == 0
        # One more call is under way when it ends.
        late = threading.Thread(target=_whatever, args=(first.client(made), "user2"))
        late.start()
        first.process.kill()
        late.join(30)
    assert first.process.returncode == -signal.SIGKILL
    with serving(tmp_path, port=first.port) as second:
        client = second.client(made)
        assert client.auth_status(told["user0"])["status"] == "allow"
        assert client.auth_status(told["user1"])["status"] == "deny"
        for user in ("user2", "user3"):
            assert client.auth_status(told[user])["waiting"] is True
        assert cloud("push", "approve", told["user2"], data=second.data)[0] == 0
        assert client.auth_status(told["user2"])["success"] is True


def _ask(client: Any, user: str) -> str:
    txid: str = client.auth("phone", username=user, device="auto", async_txn=True)["txid"]
    return txid


def _whatever(client: Any, user: str) -> None:
    with suppress(Exception):
        _ask(client, user)
