"""Dovecot, whose IMAP logins are binds at an LDAP server, and Python's IMAP client."""

from __future__ import annotations

import imaplib
import os
from pathlib import Path
from typing import Self

from tests.system.parts.needs import missing, needs, needs_library
from tests.system.parts.process import Process, free_port

_CONFIG = """\
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/run
log_path = /dev/stderr
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 1
# Who failed from an address waits there, up to 15 s.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
}}
passdb {{
  driver = ldap
  args = {folder}/ldap.conf
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%u
}}
"""
_LDAP = """\
uris = {url}
tls_ca_cert_file = {ca}
dn = {service}
dnpass = {service_password}
base = {base}
auth_bind = yes
pass_filter = (&(objectClass=posixAccount)(uid=%u))
"""


class Dovecot:
    """`folder` and `ca` have to be open to other users: its processes are several."""

    def __init__(
        self, folder: Path, url: str, ca: Path, *, base: str, service: str, service_password: str
    ) -> None:
        self._program = needs("dovecot", "dovecot-imapd")
        needs_library("modules/auth/libauthdb_ldap.so", "dovecot-ldap")
        if os.geteuid() != 0:
            missing("Dovecot's processes are users of their own, which takes root")
        self._folder = folder
        self._port = free_port()
        (folder / "mail").mkdir()
        (folder / "mail").chmod(0o777)
        (folder / "dovecot.conf").write_text(_CONFIG.format(folder=folder, port=self._port))
        config = folder / "ldap.conf"
        config.touch(mode=0o600)
        config.write_text(
            _LDAP.format(url=url, ca=ca, base=base, service=service, service_password=service_password)
        )

    def __enter__(self) -> Self:
        command = (self._program, "-F", "-c", str(self._folder / "dovecot.conf"))
        self._process = Process(command, self._folder / "dovecot.log")
        self._process.wait_for_port("127.0.0.1", self._port)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def login(self, user: str, password: str) -> bool:
        """A mail program's."""
        with imaplib.IMAP4("127.0.0.1", self._port, timeout=60) as mail:
            try:
                said, _ = mail.login(user, password)
            except imaplib.IMAP4.error as refused:
                if "AUTHENTICATIONFAILED" not in str(refused):
                    raise
                return False
            return said == "OK"
