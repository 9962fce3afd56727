"""PAM logins through sssd's LDAP provider, in a mount namespace of its own: nothing of the system's is touched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

from tests.system.parts.needs import needs, needs_library
from tests.system.parts.pam import PamTester
from tests.system.parts.process import Process

_CONFIG = """\
[sssd]
services = pam
domains = apps
[domain/apps]
id_provider = ldap
auth_provider = ldap
access_provider = permit
ldap_uri = {url}
ldap_tls_cacert = {ca}
ldap_search_base = {base}
ldap_default_bind_dn = {service}
ldap_default_authtok = {service_password}
ldap_opt_timeout = 60
cache_credentials = false
"""
_MOUNTS = """
mkdir -p /etc/sssd /var/lib/sss /var/log/sssd
for folder in /etc/sssd /var/lib/sss /var/log/sssd /run; do mount -t tmpfs tmpfs $folder; done
install -m 600 "$1/sssd.conf" /etc/sssd/sssd.conf
cd /var/lib/sss
mkdir -p db mc pipes/private pubconf
exec sssd -i --logger=stderr
"""


class Sssd:
    """`with Sssd(folder, ldaps_url, ca, base=…, service=…, service_password=…) as sssd: …`."""

    def __init__(
        self, folder: Path, url: str, ca: Path, *, base: str, service: str, service_password: str
    ) -> None:
        needs("sssd", "sssd-ldap")
        needs_library("sssd/libsss_ldap.so", "sssd-ldap")
        needs_library("security/pam_sss.so", "libpam-sss")
        self._pam = PamTester(folder, "pam_sss.so")
        config = folder / "sssd.conf"
        config.touch(mode=0o600)
        config.write_text(
            _CONFIG.format(url=url, ca=ca, base=base, service=service, service_password=service_password)
        )
        command = ("unshare", "-m", "sh", "-ec", _MOUNTS, "sh", str(folder))
        self._process = Process(command, folder / "sssd.log")

    def __enter__(self) -> Self:
        # Its socket is in its own /var/lib, seen from outside through its root.
        socket = Path(f"/proc/{self._process.pid}/root/var/lib/sss/pipes/pam")
        until = time.monotonic() + 20
        while not socket.exists():
            assert time.monotonic() < until, self._process.log.read_text(errors="replace")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def login(self, user: str, password: str) -> bool:
        """A PAM application's: pam_sss asks sssd, and sssd the directory."""
        return self._pam.login(self._process, user, password)
