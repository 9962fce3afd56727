"""What a reload keeps of the configuration before: the parts that are the same, and nothing else."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from authproxy.config.load import load_text
from authproxy.config.problems import InvalidConfig
from authproxy.service.building.builder import build
from authproxy.service.checking import nobodys_world

SECTION = """
  ikey: DIAAAAAAAAAAAAAAAAAA
  skey: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  api_host: 127.0.0.1
  allow_local_api: true
  client: ad_client
"""
CONFIG = f"""
ad_client:
  host: 127.0.0.1
  transport: ldaps
  auth_type: plain
  bind_dn: CN=service
  service_account_password: secret
  search_dn: DC=example,DC=test
radius_server_auto:
  name: vpn
  clients: [{{name: nas, ip: 127.0.0.1, secret: a shared secret of ours}}]
  port: 1812
{SECTION}
ldap_server_auto:
  name: apps
  require_tls: false
  port: 1389
{SECTION}
"""


def test_a_configuration_goes_with_the_reload() -> None:
    """Also the one before it: none may hold the other, or a daemon grows with each reload (A17)."""
    world = nobodys_world(MemoryReactorClock())
    built = build(load_text(CONFIG, Path("authproxy.yaml"), {}, touch=False), world)
    built.start()
    cloud = built.sections["radius_server_auto"].cloud
    before = []
    for _ in range(2):
        before += [weakref.ref(section.pipeline) for section in built.sections.values()]
        built = build(load_text(CONFIG, Path("authproxy.yaml"), {}, touch=False), world, built)
        built.start()
    gc.collect()
    assert [pipeline() for pipeline in before] == [None] * 4
    assert built.sections["radius_server_auto"].cloud is cloud
    Deferred.fromCoroutine(built.close())


def test_a_file_of_main_s_is_told_once(tmp_path: Path) -> None:
    """Where it was written, not at each section that inherits it."""
    empty = tmp_path / "ca.pem"
    empty.touch()
    text = f"main:\n  http_ca_certs_file: {empty}\n{CONFIG}"
    with pytest.raises(InvalidConfig) as invalid:
        build(load_text(text, Path("authproxy.yaml"), {}, touch=False), nobodys_world(MemoryReactorClock()))
    (problem,) = invalid.value.problems
    assert str(problem).startswith("authproxy.yaml:2: main.http_ca_certs_file: ")
