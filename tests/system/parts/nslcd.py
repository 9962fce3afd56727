"""PAM logins through nslcd (libpam-ldapd), in a mount namespace of its own: nothing of the system's is touched."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

from tests.system.parts.needs import needs
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
_PAM = "auth required pam_ldap.so minimum_uid=1\naccount required pam_permit.so\n"
_WRAPPERS = Path("/usr/lib")


class Nslcd:
    """`folder` has to be open to other users: nslcd becomes one."""

    def __init__(
        self, folder: Path, url: str, ca: Path, *, base: str, service: str, service_password: str
    ) -> None:
        needs("nslcd", "nslcd")
        self._pamtester = needs("pamtester", "pamtester")
        self._wrapper = next(iter(_WRAPPERS.glob("*/libpam_wrapper.so")), None)
        module = next(iter(_WRAPPERS.glob("*/security/pam_ldap.so")), None)
        for found, package in ((self._wrapper, "libpam-wrapper"), (module, "libpam-ldapd")):
            if found is None:
                needs(f"a library of {package}", package)
        if os.geteuid() != 0:
            pytest.skip("a mount namespace takes root")
        self._folder = folder
        for name in ("run", "pam.d"):
            (folder / name).mkdir()
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
        for name in ("parts", "other"):
            (folder / "pam.d" / name).write_text(_PAM)
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
        enter = ("nsenter", "-m", "-t", str(self._process.pid))
        done = subprocess.run(
            (*enter, self._pamtester, "parts", user, "authenticate"),
            input=password + "\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ
            | {
                "PAM_WRAPPER": "1",
                "PAM_WRAPPER_SERVICE_DIR": str(self._folder / "pam.d"),
                "LD_PRELOAD": str(self._wrapper),
            },
        )
        text = done.stdout + done.stderr
        assert ("successfully authenticated" in text) is (done.returncode == 0), text
        assert done.returncode == 0 or "Authentication failure" in text, text
        return done.returncode == 0
