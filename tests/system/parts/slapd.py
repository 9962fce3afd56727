"""OpenLDAP's slapd with people in it: LDAP and StartTLS on one port, LDAPS on another, its data in a folder."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests.system.parts.needs import needs
from tests.system.parts.pki import make_certificate
from tests.system.parts.process import Process, free_port

SUFFIX = "dc=example,dc=test"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
ADMIN, ADMIN_PASSWORD = f"cn=admin,{SUFFIX}", "admin-pw"
SERVICE, SERVICE_PASSWORD = f"cn=svc,ou=services,{SUFFIX}", "svc-pw"
MANY_PASSWORD = "many-pw"

# The password policy says of these, right password or not: locked, expired, two more logins, change it first.
POLICY_USERS = ("locked", "expired", "grace", "mustchange")
USERS = ("alice", "bob", "carol", *POLICY_USERS)
UNICODE_USER, UNICODE_PASSWORD = "ünïcode", "pässwörd"

_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
moduleload sssvlv
moduleload syncprov
moduleload retcode
loglevel stats
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient never
authz-regexp "^gidNumber=[^,]+uidNumber=[^,]+,cn=peercred,cn=external,cn=auth$" "{admin}"
password-hash {{CLEARTEXT}}
{extra}
database mdb
suffix {suffix}
directory {data}
maxsize 1073741824
rootdn "{admin}"
rootpw {admin_password}
index objectClass,uid,cn,mail,member,memberOf,entryUUID eq
limits dn.exact="{service}" size=unlimited
sizelimit 500
access to attrs=userPassword by self write by anonymous auth by * none
access to * by users read by anonymous auth
overlay retcode
retcode-parent "ou=results,{suffix}"
retcode-sleep {sleep}
retcode-item cn=busy 51
retcode-item cn=unavailable 52
retcode-item cn=unwilling 53
retcode-item cn=referral 10 ref=ldap://127.0.0.1:9/{suffix}
overlay sssvlv
overlay syncprov
overlay memberof
memberof-refint TRUE
overlay ppolicy
ppolicy_default cn=default,ou=policies,{suffix}
ppolicy_use_lockout
"""


def password_of(user: str) -> str:
    """Nothing of the name in it, which may stand in logs where a password may not."""
    digest = hashlib.sha256(user.encode()).hexdigest()[:12]
    return UNICODE_PASSWORD if user == UNICODE_USER else f"pw-{digest}"


class Slapd:
    """`with Slapd(folder) as slapd: …`. A later start on the same folder keeps the data.

    Groups: vpn (alice, bob), staff (group vpn, carol), outer (group staff), `Comma, Inc` (alice), loop (group loop2)
    and loop2 (group loop), posix (memberUid carol). `users`: that many more, u00000 and so on, password
    MANY_PASSWORD. `extra`: lines for slapd.conf's global part. `sleep`: seconds that every operation takes longer.
    """

    def __init__(self, folder: Path, *, users: int = 0, extra: str = "", sleep: int = 0) -> None:
        self._program = needs("slapd", "slapd")
        self._slapadd, self._ldapadd = needs("slapadd", "slapd"), needs("ldapadd", "ldap-utils")
        self._folder = folder
        self._users, self._extra, self._sleep = users, extra, sleep
        self.port, self.ldaps_port = free_port(), free_port()
        self.process: Process | None = None
        self._files = make_certificate(folder / "pki", "localhost", "127.0.0.1", "ldap.example.test")
        self.ca_file = self._files.authority

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.ldaps_port}"

    @property
    def log(self) -> str:
        """What slapd wrote of connections and operations ("stats")."""
        return (self._folder / "slapd.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        data = self._folder / "data"
        fresh = not data.exists()
        data.mkdir(parents=True, exist_ok=True)
        config = self._folder / "slapd.conf"
        config.write_text(self._config(data))
        if fresh:
            people = self._folder / "people.ldif"
            people.write_text(_ldif(_people(self._users)))
            self._run(self._slapadd, "-q", "-f", str(config), "-b", SUFFIX, "-l", str(people))
        local = f"ldapi://{quote(str(self._folder / 'ldapi'), safe='')}"
        listen = f"{self.url} {self.ldaps_url} {local}"
        self.process = Process(
            (self._program, "-d", "stats", "-f", str(config), "-h", listen), self._folder / "slapd.log"
        )
        self.process.wait_for_port("127.0.0.1", self.ldaps_port)
        if fresh:
            # The memberof overlay sees only what is added while it runs.
            groups = self._folder / "groups.ldif"
            groups.write_text(_ldif(_groups()))
            self._run(self._ldapadd, "-Q", "-Y", "EXTERNAL", "-H", local, "-f", str(groups))

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def _config(self, data: Path) -> str:
        return _CONFIG.format(
            authority=self._files.authority,
            certificate=self._files.certificate,
            key=self._files.key,
            data=data,
            suffix=SUFFIX,
            admin=ADMIN,
            admin_password=ADMIN_PASSWORD,
            service=SERVICE,
            extra=self._extra,
            sleep=self._sleep,
        )

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


Entry = tuple[str, list[tuple[str, str]]]


def _people(many: int) -> Iterable[Entry]:
    yield (
        SUFFIX,
        [("objectClass", "dcObject"), ("objectClass", "organization"), ("o", "Example"), ("dc", "example")],
    )
    for unit in ("people", "groups", "services", "policies"):
        yield f"ou={unit},{SUFFIX}", [("objectClass", "organizationalUnit"), ("ou", unit)]
    yield _policy("default", ("pwdLockout", "TRUE"), ("pwdMaxFailure", "5"), ("pwdMustChange", "TRUE"))
    yield _policy("aged", ("pwdMaxAge", "86400"))
    yield _policy("grace", ("pwdMaxAge", "86400"), ("pwdGraceAuthnLimit", "1000"))
    yield (
        SERVICE,
        [
            ("objectClass", "organizationalRole"),
            ("objectClass", "simpleSecurityObject"),
            ("cn", "svc"),
            ("userPassword", SERVICE_PASSWORD),
        ],
    )
    for user in ("alice", "bob", "carol", UNICODE_USER):
        yield _person(user, password_of(user))
    old = ("pwdChangedTime", "20200101000000Z")
    yield _person("locked", password_of("locked"), ("pwdAccountLockedTime", "000001010000Z"))
    yield _person(
        "expired", password_of("expired"), old, ("pwdPolicySubentry", f"cn=aged,ou=policies,{SUFFIX}")
    )
    yield _person("grace", password_of("grace"), old, ("pwdPolicySubentry", f"cn=grace,ou=policies,{SUFFIX}"))
    yield _person("mustchange", password_of("mustchange"), ("pwdReset", "TRUE"))
    # Two people, one mail: nobody can be told from the other by it (L27).
    yield _person("twin1", password_of("twin1"), mail="twins@example.test")
    yield _person("twin2", password_of("twin2"), mail="twins@example.test")
    # One person, two names.
    yield _person("many1", password_of("many1"), ("uid", "many2"))
    for number in range(many):
        yield _person(f"u{number:05}", MANY_PASSWORD)


def _person(user: str, password: str, *more: tuple[str, str], mail: str | None = None) -> Entry:
    return (
        f"uid={user},{PEOPLE}",
        [
            ("objectClass", "inetOrgPerson"),
            ("objectClass", "posixAccount"),
            ("uid", user),
            ("cn", f"{user} Test"),
            ("sn", "Test"),
            ("mail", mail or f"{user}@example.test"),
            ("uidNumber", "20000"),
            ("gidNumber", "20000"),
            ("homeDirectory", "/nonexistent"),
            ("userPassword", password),
            *more,
        ],
    )


def _policy(name: str, *rules: tuple[str, str]) -> Entry:
    return (
        f"cn={name},ou=policies,{SUFFIX}",
        [
            ("objectClass", "device"),
            ("objectClass", "pwdPolicy"),
            ("cn", name),
            ("pwdAttribute", "userPassword"),
            *rules,
        ],
    )


def _groups() -> Iterable[Entry]:
    def person(user: str) -> tuple[str, str]:
        return "member", f"uid={user},{PEOPLE}"

    def group(name: str) -> tuple[str, str]:
        return "member", f"cn={name},{GROUPS}"

    for name, *members in (
        ("vpn", person("alice"), person("bob")),
        ("staff", group("vpn"), person("carol")),
        ("outer", group("staff")),
        ("Comma\\, Inc", person("alice")),
        ("loop", group("loop2")),
        ("loop2", group("loop"), person("bob")),
    ):
        yield (
            f"cn={name},{GROUPS}",
            [("objectClass", "groupOfNames"), ("cn", name.replace("\\", "")), *members],
        )
    yield (
        f"cn=posix,{GROUPS}",
        [("objectClass", "posixGroup"), ("cn", "posix"), ("gidNumber", "30000"), ("memberUid", "carol")],
    )


def _ldif(entries: Iterable[Entry]) -> str:
    return "\n".join(
        "\n".join(_line(*pair) for pair in (("dn", dn), *attributes)) + "\n" for dn, attributes in entries
    )


def _line(attribute: str, value: str) -> str:
    if value.isascii() and value[:1] not in (" ", ":", "<"):
        return f"{attribute}: {value}"
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}"
