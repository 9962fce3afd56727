"""OpenVPN with openvpn-auth-radius or with auth-pam, in a network namespace. No client gets an interface or a route."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Self

from tests.system.parts.namespace import Namespace
from tests.system.parts.needs import missing, needs, needs_library
from tests.system.parts.pam_radius import PamRadius
from tests.system.parts.pki import make_certificate
from tests.system.parts.process import Process, Watched, watch

UP, DENIED = "Initialization Sequence Completed", "AUTH_FAILED"
_RADIUS_PLUGIN = Path("/usr/lib/openvpn/radiusplugin.so")
# PAM's prompts by how they begin: the password, and our menu, which a code or a number answers.
_PAM_WORDS = "radius login USERNAME password PASSWORD second OTP"
_RADIUS = """\
NAS-Identifier=OpenVpn
Service-Type=5
Framed-Protocol=1
NAS-Port-Type=5
NAS-IP-Address=127.0.0.1
OpenVPNConfig={folder}/server.conf
overwriteccfiles=true
server
{{
    name=127.0.0.1
    authport={port}
    acctport={accounting}
    sharedsecret={secret}
    wait={wait}
    retry={retry}
}}
"""
_SERVER = """\
local 127.0.0.1
port 1194
proto udp4
dev tun
topology subnet
server 10.99.0.0 255.255.255.0
ifconfig-noexec
route-noexec
ca {authority}
cert {certificate}
key {key}
dh none
verify-client-cert none
username-as-common-name
duplicate-cn
hand-window 120
keepalive 5 60
client-config-dir {folder}/clients
script-security 2
plugin {plugin}
verb 3
"""


class OpenVpn:
    """`with OpenVpn(folder, namespace, 1812, secret) as vpn: …`. Accounting goes to the next port.

    The plugin reads four digits of a port, no more.

    `wait`: seconds that it waits for an answer; `retry`: how often it asks.
    """

    def __init__(
        self,
        folder: Path,
        namespace: Namespace,
        port: int,
        secret: str,
        *,
        wait: int = 30,
        retry: int = 1,
        pam: PamRadius | None = None,
    ) -> None:
        """`pam`: it asks this one instead."""
        self._program = needs("openvpn", "openvpn")
        if not Path("/dev/net/tun").exists():
            missing("there is no /dev/net/tun, which OpenVPN's server needs")
        self._folder, self._namespace = folder.resolve(), namespace
        (self._folder / "clients").mkdir(parents=True)
        self._files = make_certificate(self._folder / "pki", "vpn.example.test")
        settings = self._folder / "radius.cnf"
        settings.touch(mode=0o600)
        settings.write_text(
            _RADIUS.format(
                folder=self._folder, port=port, accounting=port + 1, secret=secret, wait=wait, retry=retry
            )
        )
        if pam is None:
            self._plugin, self._env = f"{_radius_plugin()} {settings}", {}
        else:
            plugin = needs_library("openvpn/plugins/openvpn-plugin-auth-pam.so", "openvpn")
            self._plugin, self._env = f'{plugin} "{_PAM_WORDS}"', pam.env
        self.process: Process | None = None

    def __enter__(self) -> Self:
        files, config = self._files, self._folder / "server.conf"
        config.write_text(
            _SERVER.format(
                folder=self._folder,
                authority=files.authority,
                certificate=files.certificate,
                key=files.key,
                plugin=self._plugin,
            )
        )
        command = [self._program, "--cd", str(self._folder), "--config", str(config)]
        log = self._folder / "openvpn.log"
        self.process = Process(self._namespace.inside(command), log, self._env)
        self.process.wait_for_text(UP)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.stop()

    @property
    def log(self) -> str:
        return (self._folder / "openvpn.log").read_text(errors="replace")

    def log_in(self, user: str, password: str, code: str | None = None) -> Watched:
        """What a real client says: UP or DENIED. `code`: the answer to its static challenge, as the client sends it."""
        if code is not None:
            password = ":".join(
                ("SCRV1", *(base64.b64encode(text.encode()).decode() for text in (password, code)))
            )
        typed = self._folder / f"{user}.txt"
        typed.touch(mode=0o600)
        typed.write_text(f"{user}\n{password}\n")
        command = [
            *(self._program, "--client", "--dev", "null", "--proto", "udp4", "--remote", "127.0.0.1", "1194"),
            *(
                "--nobind",
                "--ca",
                str(self._files.authority),
                "--remote-cert-eku",
                "TLS Web Server Authentication",
            ),
            *("--auth-user-pass", str(typed), "--auth-retry", "none", "--connect-retry-max", "1"),
            *("--hand-window", "120", "--ifconfig-noexec", "--route-noexec", "--verb", "3"),
        ]
        return watch(self._namespace.inside(command), [UP, DENIED])


def _radius_plugin() -> Path:
    return (
        _RADIUS_PLUGIN
        if _RADIUS_PLUGIN.exists()
        else missing(f"{_RADIUS_PLUGIN.name} is not installed: apt-get install openvpn-auth-radius")
    )
