"""`authproxy check`: exit 0 and warnings, or exit 2 and every problem; secrets in neither."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from authproxy.cli import main
from authproxy.config.load import Loaded
from authproxy.config.problems import Problem
from tests.config.files import DIRECTORY, WHOLE, written


class Service:
    """What building finds; nothing unless told."""

    def __init__(self) -> None:
        self.found: tuple[str, str, str] | None = None
        self.asked: list[Loaded] = []

    def problems_of(self, loaded: Loaded) -> Iterable[Problem]:
        self.asked.append(loaded)
        return [loaded.problem(*self.found)] if self.found else []


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setitem(sys.modules, "authproxy.service", SimpleNamespace(problems_of=made.problems_of))  # type: ignore[arg-type]
    return made


def test_a_good_one(tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, WHOLE)
    assert main(["check", "-c", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}:1: warning: ad_client.transport: no ssl_ca_certs_file: "
        "the directory's CA has to be in the system's store",
        f"{path}: good, 1 warning",
    ]
    assert len(service.asked) == 1


def test_a_bad_one(tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, DIRECTORY + "radius_server_auto:\n  ikey: x\n")
    assert main(["-c", str(path), "check"]) == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{path}:6: radius_server_auto.api_host: missing",
        f"{path}:6: radius_server_auto.clients: missing",
        f"{path}:6: radius_server_auto.skey: missing",
        f"{path}:7: radius_server_auto.ikey: not an integration key: DI and 18 capital letters or digits",
        f"{path}: 4 problems",
    ]
    assert not service.asked


def test_what_building_finds(tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, WHOLE)
    service.found = ("radius_server_auto", "client_ip_attr", "no such attribute")
    assert main(["check", "-c", str(path)]) == 2
    out = capsys.readouterr().out
    assert f"{path}:6: radius_server_auto.client_ip_attr: no such attribute\n" in out
    assert out.endswith(f"{path}: 1 problem, 1 warning\n")


def test_for_programs(tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, WHOLE + "  fail_mode: safe\n")
    assert main(["check", "--json", "-c", str(path)]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["valid"] is False
    assert said["problems"] == [
        {
            "file": str(path),
            "line": 12,
            "section": "radius_server_auto",
            "option": "fail_mode",
            "what": "unknown option (did you mean failmode?)",
        }
    ]


def test_the_file_is_found(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHPROXY_CONFIG", str(written(tmp_path, WHOLE, "other.yaml")))
    assert main(["check"]) == 0
    monkeypatch.delenv("AUTHPROXY_CONFIG")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("authproxy.config.find.SYSTEM", tmp_path)
    assert main(["check"]) == 2
    assert "name a file with -c" in capsys.readouterr().out
