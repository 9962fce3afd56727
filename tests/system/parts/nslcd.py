"""PAM logins through nslcd (libpam-ldapd), in a mount namespace of its own: nothing of the system's is touched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

from tests.system.parts.needs import needs, needs_library
from tests.system.parts.pam import PamTester
from tests.system.parts.process import Process

_CONFIG = """\
uid nslcd
gid nslcd
uri {url}
base {base}
binddn {service}
bindpw {service_password}
tls_cacertfile {ca}
threads 2
"""
_MOUNTS = """
mount --bind "$1/nslcd.conf" /etc/nslcd.conf
mkdir -p /run/nslcd
mount --bind "$1/run" /run/nslcd
exec nslcd -d
"""


class Nslcd:
    """`folder` has to be open to other users: nslcd becomes one."""

    def __init__(
        self, folder: Path, url: str, ca: Path, *, base: str, service: str, service_password: str
    ) -> None:
        needs("nslcd", "nslcd")
        needs_library("security/pam_ldap.so", "libpam-ldapd")
        self._pam = PamTester(folder, "pam_ldap.so minimum_uid=1")
        self._folder = folder
        (folder / "run").mkdir()
        (folder / "run").chmod(0o777)
        (folder / "ca.pem").write_bytes(ca.read_bytes())
        config = folder / "nslcd.conf"
        config.touch(mode=0o600)
        config.write_text(
            _CONFIG.format(
                url=url,
                base=base,
                service=service,
                service_password=service_password,
                ca=folder / "ca.pem",
            )
        )
        command = ("unshare", "-m", "sh", "-ec", _MOUNTS, "sh", str(folder))
        self._process = Process(command, folder / "nslcd.log")

    def __enter__(self) -> Self:
        until = time.monotonic() + 20
        while not (self._folder / "run" / "socket").exists():
            assert time.monotonic() < until, (self._folder / "nslcd.log").read_text()
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def login(self, user: str, password: str) -> bool:
        """A PAM application's: pam_ldap asks nslcd, and nslcd the directory."""
        return self._pam.login(self._process, user, password)
