"""ocserv, a VPN server for AnyConnect's protocol, and openconnect at a terminal; both in a network namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tests.system.parts.namespace import Namespace
from tests.system.parts.needs import needs
from tests.system.parts.pki import make_certificate
from tests.system.parts.process import Process
from tests.system.parts.terminal import Shown, type_in

PASSWORD_PROMPT = r"Password: ?$"
_RADIUS = """\
nas-identifier ocserv
authserver 127.0.0.1:{port}
acctserver 127.0.0.1:{port}
servers {folder}/secrets
dictionary /etc/radcli/dictionary
default_realm
radius_timeout {timeout}
radius_retries {retries}
bindaddr *
"""
_SERVER = """\
auth = "radius[config={folder}/radcli.conf]"
listen-host = 127.0.0.1
tcp-port = 443
run-as-user = root
run-as-group = root
socket-file = {folder}/socket
pid-file = {folder}/pid
server-cert = {certificate}
server-key = {key}
isolate-workers = false
max-clients = 100
sec-mod-scale = {processes}
max-same-clients = 0
max-ban-score = 0
auth-timeout = 240
device = oc
ipv4-network = 10.98.0.0/24
cisco-client-compat = true
log-level = 2
"""


class Ocserv:
    """`with Ocserv(folder, namespace, 1812, secret) as vpn: …`. `timeout`: seconds that it waits for an answer.

    `processes`: how many of them ask RADIUS; a user always meets the same one.
    """

    def __init__(
        self,
        folder: Path,
        namespace: Namespace,
        port: int,
        secret: str,
        *,
        timeout: int = 30,
        retries: int = 1,
        processes: int = 1,
    ) -> None:
        self._program = needs("ocserv", "ocserv")
        self._client = needs("openconnect", "openconnect")
        self._folder, self._namespace = folder.resolve(), namespace
        files = make_certificate(self._folder / "pki", "vpn.example.test", "127.0.0.1")
        self._authority = files.authority
        secrets = self._folder / "secrets"
        secrets.touch(mode=0o600)
        secrets.write_text(f"127.0.0.1 {secret}\n")
        (self._folder / "radcli.conf").write_text(
            _RADIUS.format(folder=self._folder, port=port, timeout=timeout, retries=retries)
        )
        (self._folder / "ocserv.conf").write_text(
            _SERVER.format(
                folder=self._folder, certificate=files.certificate, key=files.key, processes=processes
            )
        )
        self.process: Process | None = None

    @property
    def log(self) -> str:
        return (self._folder / "ocserv.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        command = [self._program, "--foreground", "--config", str(self._folder / "ocserv.conf")]
        self.process = Process(self._namespace.inside(command), self._folder / "ocserv.log")
        self.process.wait_for_text("listening (TCP) on 127.0.0.1:443")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.stop()

    def log_in(self, user: str, *typed: tuple[str, str]) -> Shown:
        """Up to the session's cookie, which it prints; no tunnel is made. `typed`: prompts and answers."""
        command = [self._client, "--protocol=anyconnect", "--authenticate", f"--cafile={self._authority}"]
        return type_in(self._namespace.inside([*command, "--user", user, "https://127.0.0.1/"]), typed)
