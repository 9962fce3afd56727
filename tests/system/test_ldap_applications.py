"""Whole applications whose logins go to slapd through the daemon: by push, by passcode, and refused.

PAM through nslcd and through sssd, Dovecot, PostgreSQL, node's ldapjs and ldapts, and Radicale. Each binds in an order
of its own (docs/ldap.md).
"""

from __future__ import annotations

import base64
import importlib.util
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.world import World
from tests.system.ldap_apps import Apps, Login, three_answers
from tests.system.parts.dovecot import Dovecot
from tests.system.parts.node import DEBIAN, NPM, NodeScript, Origin
from tests.system.parts.nslcd import Nslcd
from tests.system.parts.postgres import Postgres
from tests.system.parts.process import Process, free_port
from tests.system.parts.slapd import PEOPLE, SERVICE, SERVICE_PASSWORD, SUFFIX
from tests.system.parts.sssd import Sssd
from tests.system.test_ldap_clients import apps, public_folder, slapd

__all__ = ["apps", "public_folder", "slapd"]  # fixtures

pytestmark = pytest.mark.system


@pytest.mark.parametrize("kind", [Nslcd, Sssd, Dovecot])
def test_a_daemon_that_asks_for_others(
    world: World, apps: Apps, public_folder: Path, kind: type[Nslcd | Sssd | Dovecot]
) -> None:
    """PAM's nslcd and sssd keep a connection as the service account; each login has one more; Dovecot has one."""
    service = {"base": SUFFIX, "service": SERVICE, "service_password": SERVICE_PASSWORD}
    with kind(public_folder, apps.ldaps_url, _readable(apps, public_folder), **service) as daemon:
        three_answers(world, daemon.login)


def test_postgres_that_searches_first(world: World, apps: Apps, public_folder: Path) -> None:
    options = {
        "ldapserver": "127.0.0.1",
        "ldapport": apps.port,
        "ldaptls": 1,
        "ldapbinddn": SERVICE,
        "ldapbindpasswd": SERVICE_PASSWORD,
        "ldapbasedn": PEOPLE,
        "ldapsearchattribute": "uid",
    }
    method = "ldap " + " ".join(f'{name}="{value}"' for name, value in options.items())
    with Postgres(public_folder, method, ("alice", "bob"), _readable(apps, public_folder)) as postgres:
        three_answers(world, postgres.login)


def _readable(apps: Apps, folder: Path) -> Path:
    authority = folder / "ca.pem"
    authority.write_bytes(apps.files.authority.read_bytes())
    return authority


# ---- node

# Each prints whether the password was taken; anything else than a yes or a no ends it with an error.
LDAPJS = """
const [url, ca, service, servicePassword, base, user, password] = process.argv.slice(1);
const ldap = require('ldapjs');
const options = { url, tlsOptions: { ca: [require('fs').readFileSync(ca)] } };
const fail = (error) => { console.error(error); process.exit(2); };
const admin = ldap.createClient(options);
admin.on('error', fail);
admin.bind(service, servicePassword, (error) => {
  if (error) fail(error);
  admin.search(base, { scope: 'sub', filter: `(uid=${user})` }, (error, found) => {
    if (error) fail(error);
    found.on('searchEntry', (entry) => {
      const own = ldap.createClient(options);
      own.on('error', fail);
      own.bind(entry.objectName.toString(), password, (error) => {
        if (error && !(error instanceof ldap.InvalidCredentialsError)) fail(error);
        console.log(!error);
        process.exit(0);
      });
    });
  });
});
"""
LDAPTS = """
const [url, ca, service, servicePassword, base, user, password] = process.argv.slice(1);
const { Client, InvalidCredentialsError } = require('ldapts');
const client = () => new Client({ url, tlsOptions: { ca: [require('fs').readFileSync(ca)] } });
const logIn = async () => {
  const admin = client();
  const own = client();
  await admin.bind(service, servicePassword);
  const { searchEntries } = await admin.search(base, { filter: `(uid=${user})`, paged: true });
  await admin.unbind();
  try {
    await own.bind(searchEntries[0].dn, password);
    const { searchEntries: itself } = await own.search(searchEntries[0].dn, { scope: 'base' });
    return itself[0].uid === user;
  } catch (error) {
    if (error instanceof InvalidCredentialsError) return false;
    throw error;
  } finally {
    await own.unbind();
  }
};
logIn().then(console.log, (error) => { console.error(error); process.exit(2); });
"""


@pytest.mark.parametrize(
    ("module", "program", "origin"),
    [("ldapjs", LDAPJS, DEBIAN), ("ldapts", LDAPTS, NPM)],
    ids=["ldapjs", "ldapts"],
)
def test_node(world: World, apps: Apps, module: str, program: str, origin: Origin) -> None:
    script = NodeScript(program, module, origin)

    def login(user: str, password: str) -> bool:
        url, ca = apps.ldaps_url.replace("127.0.0.1", "localhost"), str(apps.files.authority)
        said = script.run(url, ca, SERVICE, SERVICE_PASSWORD, PEOPLE, user, password)
        assert said in {"true", "false"}
        return said == "true"

    three_answers(world, login)


# ---- Radicale, a calendar server

RADICALE = """\
[server]
hosts = 127.0.0.1:{port}
[auth]
type = ldap
delay = 0
cache_logins = False
ldap_uri = {url}
ldap_security = tls
ldap_ssl_ca_file = {ca}
ldap_base = {people}
ldap_reader_dn = {service}
ldap_secret = {service_password}
ldap_filter = (&(objectClass=posixAccount)(uid={{0}}))
[storage]
filesystem_folder = {folder}/collections
"""


@pytest.fixture
def radicale(tmp_path: Path, apps: Apps) -> Iterator[Login]:
    assert importlib.util.find_spec("radicale"), "run: .ci/setup test"
    port, config = free_port(), tmp_path / "radicale.conf"
    config.write_text(
        RADICALE.format(
            port=port,
            url=apps.ldaps_url,
            ca=apps.files.authority,
            people=PEOPLE,
            service=SERVICE,
            service_password=SERVICE_PASSWORD,
            folder=tmp_path,
        )
    )
    process = Process((sys.executable, "-m", "radicale", "-C", str(config)), tmp_path / "radicale.log")
    process.wait_for_port("127.0.0.1", port)

    def login(user: str, password: str) -> bool:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{user}/", method="PROPFIND")
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return bool(answer.status == 207)
        except urllib.error.HTTPError as refused:
            if refused.code != 401:
                raise
            return False

    yield login
    process.stop()


def test_radicale(world: World, radicale: Login) -> None:
    three_answers(world, radicale)
