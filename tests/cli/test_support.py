"""B3: every secret is a canary, in every place a secret can be; none is in the bundle, in no spelling."""

from __future__ import annotations

import base64
import gzip
import json
import secrets
import stat
import sys
import tarfile
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from authproxy.cli import main
from authproxy.cli.redaction import Blotter, listing
from authproxy.config.problems import Report
from authproxy.config.source import read_tree
from authproxy.listeners.admin.guard import Guard
from tests.config.files import DIRECTORY, written
from tests.listeners.admin.test_site import Served


def canary(name: str, length: int = 24) -> str:
    return f"{name}-" + secrets.token_hex(length)


def spellings(secret: str) -> list[bytes]:
    octets = secret.encode()
    return [
        octets,
        octets.hex().encode(),
        *(base64.b64encode(bytes(before) + octets)[4:-4] for before in range(3)),
        urllib.parse.quote(octets, safe="").encode(),
        secret.encode("utf-16-le"),
        *(octets[at : at + 8] for at in range(len(octets) - 7) if at > 12),
    ]


class Bundle:
    def __init__(self, path: Path) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        self.octets = gzip.decompress(path.read_bytes())
        self.files: dict[str, str] = {}
        with tarfile.open(path) as bundle:
            for member in bundle.getmembers():
                found = bundle.extractfile(member)
                assert found is not None
                self.files[member.name.partition("/")[2]] = found.read().decode()

    def without(self, *canaries: str) -> None:
        for one in canaries:
            for spelling in spellings(one):
                assert spelling not in self.octets


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = SimpleNamespace(problems_of=lambda loaded: [])
    monkeypatch.setitem(sys.modules, "authproxy.service", made)


def test_no_canary_comes_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {name: canary(name) for name in ("bind", "client", "file", "comment", "http")}
    found["skey"] = secrets.token_hex(20)
    (tmp_path / "client2").write_text(found["file"] + "\n")
    (tmp_path / "log").mkdir()
    log_line = f'2025 warn x.y why="{found["bind"]}" b64={base64.b64encode(b"x" + found["client"].encode()).decode()}\n'
    (tmp_path / "log" / "authproxy.log").write_text("kept\n" + log_line)
    (tmp_path / "log" / "authevents.log").write_text('{"username":"alice"}\n')
    path = written(
        tmp_path,
        f"""\
# the old secret was {found["comment"]}
main:
  log_dir: {tmp_path}/log
  http_proxy_host: proxy.example
  http_proxy_username: user
  http_proxy_password: "{found["http"]}"
ad_client:
  host: [dc1.corp.example]
  service_account_username: svc
  service_account_password: "{found["bind"]}"
  search_dn: DC=corp,DC=example
radius_server_auto:
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: "{found["skey"]}"
  api_host: api-xxxxxxxx.example.com
  clients:
    - {{name: asa, ip: 10.1.0.1, secret: "{found["client"]}"}}
    - {{name: old, ip: 10.1.0.2, secret: {{file: client2}}}}
""",
    )
    output = tmp_path / "bundle.tar.gz"
    assert main(["support", "-c", str(path), "-o", str(output)]) == 0
    bundle = Bundle(output)
    bundle.without(*found.values())
    assert "missing" not in bundle.files["check.txt"], bundle.files["check.txt"]
    shown = capsys.readouterr().out
    assert not any(one in shown for one in found.values())
    assert set(bundle.files) == {
        "versions.txt",
        "configuration.txt",
        "check.txt",
        "files.txt",
        "status.json",
        "log/authproxy.log",
        "log/authevents.log",
    }
    configuration = bundle.files["configuration.txt"]
    assert "radius_server_auto.clients[0].ip: 10.1.0.1" in configuration
    assert "radius_server_auto.clients[1].secret: (not shown): a secret from file" in configuration
    assert "ad_client.service_account_password: (not shown): a secret" in configuration
    assert "ad_client.search_dn: DC=corp,DC=example" in configuration
    assert "kept" in bundle.files["log/authproxy.log"]
    assert "alice" in bundle.files["log/authevents.log"]
    assert "Twisted " in bundle.files["versions.txt"]
    assert "warning" in bundle.files["check.txt"]


@pytest.mark.parametrize(
    "broken",
    [
        "radius_server_auto:\n  skeyy: {}\n",
        "radius_server_auto:\n  ikey: 5\n  skey: {}\n",
        "radius_server_auto:\n  skey: [{}]\n",
        "radius_server_auto:\n  clients: [{}]\n",
        "radius_server_auto:\n  clients:\n    - {{ip: x, secrt: {}}}\n",
        "radius_server_auto: {}\n",
        "radius_server_nothing:\n  a: {}\n",
        "sso:\n  a: {}\n",
        "ad_client:\n  service_account_password_protected: {}\n  service_account_password: x\n",
        "ad_client:\n  service_account_password_protected: x\n  service_account_password: {}\n",
        "a: [{}\n",
        "{}\n",
    ],
)
def test_a_broken_configuration_hides_as_much(tmp_path: Path, broken: str) -> None:
    """The very file that needs support: what isn't known to be harmless isn't shown."""
    secret = canary("any")
    path = written(tmp_path, broken.format(secret))
    output = tmp_path / "bundle.tar.gz"
    assert main(["support", "-c", str(path), "-o", str(output)]) == 0
    bundle = Bundle(output)
    bundle.without(secret)
    assert bundle.files["check.txt"]
    assert "not to be had" not in bundle.files["configuration.txt"]


def test_logs_of_a_broken_configuration(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "authproxy.log").write_text("kept\n")
    path = written(tmp_path, f"main:\n  log_dir: {tmp_path}/log\nradius_server_auto:\n  ikey: x\n")
    output = tmp_path / "bundle.tar.gz"
    assert main(["support", "-c", str(path), "-o", str(output)]) == 0
    assert Bundle(output).files["log/authproxy.log"] == "kept\n"


def test_a_cfg(tmp_path: Path) -> None:
    found = {name: canary(name) for name in ("bind", "client", "comment")}
    path = tmp_path / "authproxy.cfg"
    path.write_text(
        f"""\
; {found["comment"]}
[ad_client]
host=dc1.corp.example
service_account_username=svc
service_account_password={found["bind"]}
search_dn=DC=corp,DC=example
[radius_server_auto]
ikey=DIXXXXXXXXXXXXXXXXXX
skey={"S" * 40}
api_host=api-xxxxxxxx.example.com
radius_ip_1=10.1.0.1
radius_secret_1={found["client"]}
"""
    )
    path.chmod(0o600)
    output = tmp_path / "bundle.tar.gz"
    assert main(["support", "-c", str(path), "-o", str(output), "--no-logs"]) == 0
    bundle = Bundle(output)
    bundle.without(*found.values(), "S" * 40)
    assert "radius_server_auto.clients[0].ip: 10.1.0.1" in bundle.files["configuration.txt"]
    assert not [name for name in bundle.files if name.startswith("log/")]


def test_words_that_are_no_secret_stay(tmp_path: Path) -> None:
    """An option of the existing product that isn't known here, and `fail_open: false` in each line of the audit."""
    path = written(
        tmp_path, "[main]\nlog_dir=.\nlog_sso_events=false\nsome_word=opensesame\n", "authproxy.cfg"
    )
    (tmp_path / "authevents.log").write_text('{"fail_open": false, "detail": "opensesame"}\n')
    assert main(["support", "-c", str(path), "-o", str(tmp_path / "b.tar.gz")]) == 0
    log = Bundle(tmp_path / "b.tar.gz").files["log/authevents.log"]
    assert log == '{"fail_open": false, "detail": "(blotted out)"}\n'


def test_with_the_proxy_running(tmp_path: Path, on_reactor: Callable[..., Any], reactor_thread: Any) -> None:
    served = Served(on_reactor, reactor_thread, Guard())
    server = (
        'radius_server_auto:\n  ikey: DIXXXXXXXXXXXXXXXXXX\n  skey: "'
        + "S" * 40
        + '"\n  api_host: a.example\n'
    )
    clients = '  clients: [{ip: 10.1.0.1, secret: "0123456789abcdef"}]\n'
    path = written(tmp_path, f"main:\n  admin: 127.0.0.1:{served.port}\n{DIRECTORY}{server}{clients}")
    output = tmp_path / "bundle.tar.gz"
    assert main(["support", "-c", str(path), "-o", str(output)]) == 0
    assert json.loads(Bundle(output).files["status.json"])["hostname"] == "proxy1"
    served.close()


def test_without_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTHPROXY_CONFIG", raising=False)
    assert main(["support", "-c", "missing.yaml"]) == 0
    (output,) = tmp_path.glob("authproxy-support-*.tar.gz")
    assert "missing.yaml" in Bundle(output).files["check.txt"]


def test_no_file_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("precious")
    assert main(["support", "-c", "missing.yaml", "-o", str(tmp_path / "mine")]) == 1
    assert (tmp_path / "mine").read_text() == "precious"
    assert "File exists" in capsys.readouterr().err


def test_a_long_log_comes_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authproxy.cli.support._MOST_OF_A_LOG", 25)
    monkeypatch.setenv("LOGS_DIRECTORY", str(tmp_path))
    (tmp_path / "authproxy.log").write_text("".join(f"line {number:3}\n" for number in range(100)))
    output = tmp_path / "bundle.tar.gz"
    assert main(["support", "-c", "missing.yaml", "-o", str(output)]) == 0
    assert Bundle(output).files["log/authproxy.log"] == "line  98\nline  99\n"


@given(st.binary(min_size=8, max_size=60), st.binary(max_size=20), st.binary(max_size=20))
def test_no_spelling_is_left(secret: bytes, before: bytes, behind: bytes) -> None:
    assume(secret not in b"(blotted out)")
    blotter = Blotter([secret])
    texts = [
        before + secret + behind,
        (before + secret + behind).hex().encode(),
        urllib.parse.quote(before + secret + behind, safe="").encode(),
        repr(before + secret + behind).encode(),
    ]
    for text in texts:
        assert secret not in blotter.blot(text)
        assert secret.hex().encode() not in blotter.blot(text)
    encoded = blotter.blot(base64.b64encode(before + secret + behind))
    assert b"(blotted out)" in encoded


def test_listing_forgets_comments_and_shows_lines() -> None:
    tree = read_tree("# hidden\nmain:\n  debug: true # hidden\n", Path("x.yaml"), Report("x.yaml"))
    assert listing(tree).lines == ["    3  main.debug: true"]
