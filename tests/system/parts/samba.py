"""A real Active Directory domain controller: Samba, for AD.TEST, with people in it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Self

from tests.system.parts.needs import missing, needs
from tests.system.parts.pki import make_certificate
from tests.system.parts.process import Process, free_address

REALM = "ad.test"
NETBIOS_DOMAIN = "AD"
DC_NAME = "dc1.ad.test"
BASE = "DC=ad,DC=test"
USERS_DN = f"CN=Users,{BASE}"
SERVICE, SERVICE_PASSWORD = "svc", "Svc-pass1"
SERVICE_DN = f"CN=svc,{USERS_DN}"
ADMIN_DN, ADMIN_PASSWORD = f"CN=Administrator,{USERS_DN}", "Adm1n-pass"
MANY_PASSWORD = "Passw0rd-many"
USERS = ("alice", "bob", "carol", "disabled", "locked", "expired", "mustchange", "accexpired")

# Debian's, not the virtual environment's: Samba's Python modules are only there.
_SYSTEM_PYTHON = "/usr/bin/python3"
_SEED = Path(__file__).with_name("samba_seed.py")
_PORTS = (389, 636)

_CONFIG = """
[global]
	netbios name = DC1
	workgroup = {netbios}
	realm = {realm}
	server role = active directory domain controller
	interfaces = {address}/8
	bind interfaces only = yes
	server services = {services}
	dns forwarder = none
	private dir = {folder}/private
	state directory = {folder}/state
	cache directory = {folder}/cache
	lock directory = {folder}/lock
	pid directory = {folder}/run
	ncalrpc dir = {folder}/run/ncalrpc
	ntp signd socket directory = {folder}/run/ntp
	winbindd socket directory = {folder}/run/winbindd
	binddns dir = {folder}/bind-dns
	ldap server require strong auth = {strong}
	ntlm auth = mschapv2-and-ntlmv2-only
	tls cafile = {authority}
	tls certfile = {certificate}
	tls keyfile = {key}
	log file = {folder}/log/samba.log
[sysvol]
	path = {folder}/state/sysvol
[netlogon]
	path = {folder}/state/sysvol/ad.test/scripts
"""


def password_of(user: str) -> str:
    """Nothing of the name in it, which may stand in logs where a password may not."""
    digest = hashlib.sha256(user.encode()).hexdigest()[:12]
    return SERVICE_PASSWORD if user == SERVICE else f"Passw0rd-{digest}"


class Samba:
    """`with Samba(folder) as samba: …`. Its ports are fixed (389, 636), so it has an address of its own.

    Users in CN=Users: see USERS, and `password_of`. Three wrong passwords lock an account; `locked` is. `noupn` has
    no userPrincipalName. Groups: vpn (alice, bob), staff (group vpn, carol), outer (group staff): nested three deep;
    letters (group vpn), which isn't security-enabled.
    `strong_auth`: Samba's `ldap server require strong auth`. `users`: that many more, u00000 and so on, password
    MANY_PASSWORD, a few milliseconds each.
    """

    def __init__(
        self,
        folder: Path,
        *,
        strong_auth: str = "yes",
        users: int = 0,
        services: str = "ldap, cldap, kdc, rpc",
        address: str | None = None,
    ) -> None:
        self._program = needs("samba", "samba")
        self._tool = needs("samba-tool", "samba")
        if not Path("/usr/share/samba/setup").is_dir():
            needs("samba-ad-provision", "samba-ad-provision")
        if os.geteuid() != 0:
            missing("Samba's ports need root")
        self._folder = folder
        self._strong_auth, self._users, self._services = strong_auth, users, services
        self.address = address or free_address(*_PORTS)
        self.port, self.ldaps_port = _PORTS
        self.process: Process | None = None
        for name in ("log", "state", "cache", "lock", "run", "private"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._files = make_certificate(folder / "pki", DC_NAME, self.address)
        self._files.key.chmod(0o600)
        self.ca_file = self._files.authority

    @property
    def url(self) -> str:
        return f"ldap://{self.address}"

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://{self.address}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        config = self._folder / "smb.conf"
        config.write_text(self._config())
        if not (self._folder / "seeded").exists():
            self._provision(config)
            self._run(_SYSTEM_PYTHON, "-I", str(_SEED), str(config), str(self._users))
            (self._folder / "seeded").touch()
        self.process = Process(
            (
                self._program,
                "-F",
                "--no-process-group",
                "--model=single",
                "--debug-stdout",
                f"--configfile={config}",
            ),
            self._folder / "samba.log",
        )
        for port in _PORTS:
            self.process.wait_for_port(self.address, port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def restart(self, strong_auth: str) -> None:
        """With another `ldap server require strong auth`."""
        self.stop()
        self._strong_auth = strong_auth
        self.start()

    def attribute(self, user: str, name: str) -> str:
        """An attribute of an account as the domain controller keeps it, or ''. Not by LDAP: asking changes nothing."""
        database = self._folder / "private" / "sam.ldb"
        found = subprocess.run(
            (needs("ldbsearch", "ldb-tools"), "-H", str(database), f"(sAMAccountName={user})", name),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        wanted = f"{name.lower()}: "
        lines = (line for line in found.stdout.splitlines() if line.lower().startswith(wanted))
        return next((line[len(wanted) :] for line in lines), "")

    def _config(self) -> str:
        return _CONFIG.format(
            netbios=NETBIOS_DOMAIN,
            realm=REALM.upper(),
            address=self.address,
            services=self._services,
            folder=self._folder,
            strong=self._strong_auth,
            authority=self._files.authority,
            certificate=self._files.certificate,
            key=self._files.key,
        )

    def _provision(self, config: Path) -> None:
        self._run(
            self._tool,
            "domain",
            "provision",
            f"--configfile={config}",
            f"--realm={REALM.upper()}",
            f"--domain={NETBIOS_DOMAIN}",
            "--server-role=dc",
            "--dns-backend=NONE",
            f"--adminpass={ADMIN_PASSWORD}",
            "--host-name=dc1",
            f"--host-ip={self.address}",
            "--host-ip6=::1",
        )

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
