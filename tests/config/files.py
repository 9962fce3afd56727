"""Configurations to start a test from, and what loading makes of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from authproxy.config.load import Loaded, load
from authproxy.config.problems import InvalidConfig

SKEY = "S" * 40

DIRECTORY = """\
ad_client:
  host: [dc1.corp.example, dc2.corp.example]
  service_account_username: svc
  service_account_password: "opensesame"
  search_dn: DC=corp,DC=example
"""
SERVER = f"""\
radius_server_auto:
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: "{SKEY}"
  api_host: api-xxxxxxxx.example.com
  clients:
    - {{name: asa, ip: 10.1.0.0/24, secret: "0123456789abcdef"}}
"""
WHOLE = DIRECTORY + SERVER

CFG_DIRECTORY = """\
[ad_client]
host=dc1.corp.example
service_account_username=svc
service_account_password=opensesame
search_dn=DC=corp,DC=example
"""
CFG_SERVER = f"""\
[radius_server_auto]
ikey=DIXXXXXXXXXXXXXXXXXX
skey={SKEY}
api_host=api-xxxxxxxx.example.com
radius_ip_1=10.1.0.0/24
radius_secret_1=0123456789abcdef
"""
CFG_WHOLE = CFG_DIRECTORY + CFG_SERVER


def written(folder: Path, text: str | bytes, name: str = "authproxy.yaml", mode: int = 0o600) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    path.chmod(mode)
    return path


def loaded(
    folder: Path, text: str | bytes, name: str = "authproxy.yaml", environ: Mapping[str, str] | None = None
) -> Loaded:
    return load(written(folder, text, name), environ or {})


def problems(
    folder: Path, text: str | bytes, name: str = "authproxy.yaml", environ: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong, a line each without the folder; [] when nothing is."""
    try:
        loaded(folder, text, name, environ)
    except InvalidConfig as invalid:
        return [str(problem).removeprefix(f"{folder}/") for problem in invalid.problems]
    return []


def warnings(folder: Path, text: str | bytes, name: str = "authproxy.yaml") -> list[str]:
    return [str(warning).removeprefix(f"{folder}/") for warning in loaded(folder, text, name).warnings]
