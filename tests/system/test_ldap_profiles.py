"""The profiles of conf/ldap-application.yaml, with their own options, each before a client that behaves so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.bench.world import World
from tests.system.ldap_apps import Apps, add_apps, tapped, three_answers
from tests.system.parts.needs import needs
from tests.system.parts.postgres import Postgres
from tests.system.parts.process import Process, free_port
from tests.system.parts.slapd import PEOPLE, SERVICE, Slapd, password_of
from tests.system.test_ldap_clients import PYTHON_LDAP, has, public_folder, script, slapd
from tests.system.test_ldap_slapd import at_slapd

__all__ = ["public_folder", "slapd"]  # fixtures

pytestmark = pytest.mark.system

CONF = Path(__file__).parents[2] / "conf" / "ldap-application.yaml"
# Whose values are the site's; a world has its own.
OF_THE_SITE = {"name", "ikey", "skey", "api_host", "port", "ssl_port", "ssl_cert_path", "ssl_key_path"}


def profile(name: str) -> dict[str, Any]:
    """The options of the section that is called so, with our service account as the application's."""
    sections = yaml.safe_load(CONF.read_text()).values()
    (section,) = [section for section in sections if section.get("name") == name]
    options = {option: value for option, value in section.items() if option not in OF_THE_SITE}
    if "exempt_ous" in options:
        options["exempt_ous"] = [SERVICE]
    return options


def started(
    world: World, slapd: Slapd, name: str, *, failures_per_user: int | None = None, **changes: Any
) -> Apps:
    """As conf/ has it: passwords over TLS only. A login that was denied is asked again here, which tests want."""
    apps = add_apps(world, name, **{"require_tls": True, "denial_memory": 0, **profile(name), **changes})
    at_slapd(world, slapd)
    if failures_per_user is not None:
        world.config["ad_client"]["failures_per_user"] = failures_per_user
    world.start()
    return apps


def test_a_service_account_that_searches_then_the_user(world: World, slapd: Slapd) -> None:
    apps = tapped(world, started(world, slapd, "jira"))
    three_answers(world, script(PYTHON_LDAP, has("ldap", "python3-ldap"), apps))


def test_the_user_alone(world: World, slapd: Slapd, public_folder: Path) -> None:
    apps = tapped(world, started(world, slapd, "appliance"))
    (public_folder / "ca.pem").write_bytes(apps.files.authority.read_bytes())
    method = (
        f'ldap ldapserver=127.0.0.1 ldapport={apps.port} ldaptls=1 ldapprefix="uid=" ldapsuffix=",{PEOPLE}"'
    )
    with Postgres(public_folder, method, ("alice", "bob"), public_folder / "ca.pem") as postgres:
        three_answers(world, postgres.login)


# ---- a pool, behind a balancer

HAPROXY = """\
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen ldaps
  bind 127.0.0.1:{port}
  server authproxy 127.0.0.1:{ssl_port} send-proxy-v2
"""
# Connections are kept, and taken in turn by whoever logs in: each is the service's, a user's, the service's again.
POOL = """
import sys, ldap
url, ca, user, password = sys.argv[1:]
ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, ca)
pool = [ldap.initialize(url) for _ in range(3)]
answers = []
for turn in range(2):
    for connection in pool:
        connection.simple_bind_s("{service}", "{service_password}")
        ((dn, _),) = connection.search_s("{people}", ldap.SCOPE_SUBTREE, f"(uid={{user}})", ["1.1"])
        try:
            connection.simple_bind_s(dn, password)
            answers.append(connection.whoami_s() == "dn:" + dn)
        except ldap.INVALID_CREDENTIALS:
            answers.append(False)
assert len(set(answers)) == 1, answers
print(answers[0])
"""


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Any]:
    program = needs("haproxy", "haproxy")
    running: list[Process] = []

    def start(apps: Apps) -> str:
        port, config = free_port(), tmp_path / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=port, ssl_port=apps.ssl_port))
        running.append(Process((program, "-f", str(config), "-db"), tmp_path / "haproxy.log"))
        running[0].wait_for_port("127.0.0.1", port)
        return f"ldaps://127.0.0.1:{port}"

    yield start
    for process in running:
        process.stop()


def test_a_pool_behind_a_balancer(world: World, slapd: Slapd, balancer: Any) -> None:
    """Each bind of the user costs a push; the cloud hears the client's address, not the balancer's."""
    # Six binds of a login are six wrong passwords at the directory, where it was one that was typed.
    apps = started(world, slapd, "portal", failures_per_user=10, proxy_protocol_from=["127.0.0.1"])
    url = balancer(apps)

    class Balanced(Apps):
        @property
        def ldaps_url(self) -> str:
            return url

    login = script(
        POOL, has("ldap", "python3-ldap"), Balanced(apps.name, apps.port, apps.ssl_port, apps.files)
    )
    assert login("alice", password_of("alice"))
    assert len(world.asked("alice")) == 6
    assert {asked["ipaddr"] for asked in world.asked("alice")} == {"127.0.0.1"}
    assert not login("bob", world.canaries.new("a wrong password"))
    world.cloud.users["alice"].answer = "deny"
    assert not login("alice", password_of("alice"))
    assert not world.asked("svc")
