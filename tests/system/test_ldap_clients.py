"""Clients that others wrote, each logging in at slapd through the daemon: by push, by passcode, and refused.

ldap3, django-auth-ldap and Apache's mod_authnz_ldap bind in their own orders, pool and rebind; python-ldap (libldap)
and more are in test_ldap_profiles.py and test_ldap_applications.py.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.world import World
from tests.system.ldap_apps import Apps, Login, add_apps, tapped, three_answers
from tests.system.parts.needs import needs
from tests.system.parts.process import Process, free_port
from tests.system.parts.slapd import GROUPS, PEOPLE, SERVICE, SERVICE_PASSWORD, Slapd, password_of
from tests.system.test_ldap_slapd import at_slapd

pytestmark = pytest.mark.system

# Debian's: its modules are only there.
SYSTEM_PYTHON = "/usr/bin/python3"
MODULES = Path("/usr/lib/apache2/modules")

LDAP3 = """
import sys, ldap3
url, ca, user, password = sys.argv[1:]
server = ldap3.Server(url, tls=ldap3.Tls(validate=2, ca_certs_file=ca))
service = ldap3.Connection(server, "{service}", "{service_password}", auto_bind=True, raise_exceptions=False)
service.search("{people}", f"(uid={{user}})", attributes=["cn"], paged_size=5)
(entry,) = service.entries
own = ldap3.Connection(server, entry.entry_dn, password, raise_exceptions=False)
bound = own.bind()
print(bound and own.extend.standard.who_am_i() == "dn:" + entry.entry_dn)
print(service.rebind(entry.entry_dn, password) if bound else False)
"""
PYTHON_LDAP = """
import sys, ldap
url, ca, user, password = sys.argv[1:]
ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, ca)
connection = ldap.initialize(url)
connection.simple_bind_s("{service}", "{service_password}")
((dn, _),) = connection.search_s("{people}", ldap.SCOPE_SUBTREE, f"(uid={{user}})", ["1.1"])
try:
    connection.simple_bind_s(dn, password)
    print(connection.whoami_s() == "dn:" + dn)
except ldap.INVALID_CREDENTIALS:
    print(False)
connection.simple_bind_s("{service}", "{service_password}")
print(bool(connection.compare_s("cn=vpn,{groups}", "member", dn.encode())))
connection.unbind_s()
"""
DJANGO = """
import sys, django, ldap
from django.conf import settings
from django_auth_ldap.config import GroupOfNamesType, LDAPSearch
url, ca, user, password = sys.argv[1:]
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    AUTHENTICATION_BACKENDS=["django_auth_ldap.backend.LDAPBackend"],
    AUTH_LDAP_GLOBAL_OPTIONS={{ldap.OPT_X_TLS_CACERTFILE: ca}},
    AUTH_LDAP_SERVER_URI=url,
    AUTH_LDAP_BIND_DN="{service}",
    AUTH_LDAP_BIND_PASSWORD="{service_password}",
    AUTH_LDAP_USER_SEARCH=LDAPSearch("{people}", ldap.SCOPE_SUBTREE, "(uid=%(user)s)"),
    AUTH_LDAP_GROUP_SEARCH=LDAPSearch("{groups}", ldap.SCOPE_SUBTREE, "(objectClass=groupOfNames)"),
    AUTH_LDAP_GROUP_TYPE=GroupOfNamesType(),
    AUTH_LDAP_REQUIRE_GROUP="cn=vpn,{groups}",
)
django.setup()
from django.contrib.auth import authenticate
from django.core.management import call_command
call_command("migrate", verbosity=0)
print(str(authenticate(username=user, password=password)) == user)
print(True)
"""


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


@pytest.fixture
def apps(world: World, slapd: Slapd) -> Apps:
    made = add_apps(world, exempt_ous=[SERVICE], denial_memory=0)
    at_slapd(world, slapd)
    world.start()
    return tapped(world, made)


def script(text: str, python: str, apps: Apps) -> Login:
    program = text.format(service=SERVICE, service_password=SERVICE_PASSWORD, people=PEOPLE, groups=GROUPS)

    def login(user: str, password: str) -> bool:
        arguments = (apps.ldaps_url, str(apps.files.authority), user, password)
        done = subprocess.run(
            (python, "-c", program, *arguments), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout.split()
        return said[0] == "True"

    return login


def test_ldap3(world: World, apps: Apps) -> None:
    login = script(LDAP3, sys.executable, apps)
    assert login("alice", password_of("alice"))
    assert len(world.asked("alice")) == 2, "it binds twice, one after the other"
    three_answers(world, login)


def has(module: str, package: str) -> str:
    done = subprocess.run((SYSTEM_PYTHON, "-c", f"import {module}"), capture_output=True, check=False)
    return SYSTEM_PYTHON if done.returncode == 0 else needs(f"{SYSTEM_PYTHON} with {module}", package)


def test_django(world: World, apps: Apps) -> None:
    three_answers(world, script(DJANGO, has("django_auth_ldap", "python3-django-auth-ldap"), apps))


# ---- Apache

APACHE = """\
ServerRoot {folder}
ServerName 127.0.0.1
PidFile {folder}/httpd.pid
Listen 127.0.0.1:{port}
{modules}
User www-data
Group www-data
ErrorLog {folder}/error.log
DocumentRoot {folder}/www
DirectoryIndex index.html
LDAPTrustedGlobalCert CA_BASE64 {ca}
LDAPCacheEntries 0
LDAPOpCacheEntries 0
LDAPSharedCacheSize 0
<Directory {folder}/www>
  AuthType Basic
  AuthName apps
  AuthBasicProvider ldap
  AuthLDAPURL "{url}/{people}?uid?sub"
  AuthLDAPBindDN "{service}"
  AuthLDAPBindPassword "{service_password}"
  Require ldap-group cn=vpn,{groups}
</Directory>
"""


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """For a server that becomes another user: pytest's own folders are closed to those."""
    with tempfile.TemporaryDirectory(prefix="authproxy-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def apache(public_folder: Path, apps: Apps) -> Iterator[Login]:
    program = needs("apache2", "apache2-bin")
    port, folder = free_port(), public_folder
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("in")
    (folder / "www").chmod(0o755)
    names = (
        "mpm_event",
        "authn_core",
        "authz_core",
        "authz_user",
        "auth_basic",
        "ldap",
        "authnz_ldap",
        "dir",
    )
    config = folder / "apache.conf"
    authority = folder / "ca.pem"
    authority.write_bytes(apps.files.authority.read_bytes())
    config.write_text(
        APACHE.format(
            folder=folder,
            port=port,
            modules="\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in names),
            ca=authority,
            url=apps.url,
            people=PEOPLE,
            groups=GROUPS,
            service=SERVICE,
            service_password=SERVICE_PASSWORD,
        )
    )
    process = Process((program, "-f", str(config), "-DFOREGROUND"), folder / "apache.log")
    process.wait_for_port("127.0.0.1", port)

    def login(user: str, password: str) -> bool:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/")
        request.add_header(
            "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as refused:
            if refused.code != 401:
                raise
            return False

    yield login
    process.stop()


def test_apache(world: World, apache: Login) -> None:
    """It keeps one connection, and rebinds it as its own account and as the user in turn."""
    three_answers(world, apache)
    assert not apache("carol", password_of("carol")), "not in the group"
