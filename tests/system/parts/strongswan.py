"""strongSwan: an IKEv2 gateway that asks RADIUS for EAP (eap-radius), and clients' daemons; all in a network namespace.

IKE_SAs without children (RFC 6023): the whole of a login, and no kernel policy or route.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

from tests.system.parts.namespace import Namespace
from tests.system.parts.needs import missing, needs
from tests.system.parts.pki import make_certificate
from tests.system.parts.process import Process

# The clients' daemons stand on the same address, so they have ports of their own.
_PORTS = {"gateway": (500, 4500), "client": (5500, 5501), "another": (5502, 5503)}
_DAEMON = """\
charon-systemd {{
    port = {ports[0]}
    port_nat_t = {ports[1]}
    install_routes = no
    install_virtual_ip = no
    half_open_timeout = 120
    retransmit_timeout = 8
    journal {{
        default = -1
    }}
    filelog {{
        stderr {{
            default = 1
            flush_line = yes
        }}
    }}
    plugins {{
        include /etc/strongswan.d/charon/*.conf
        vici {{
            socket = unix://{folder}/{name}.vici
        }}
        stroke {{
            load = no
        }}
        dhcp {{
            load = no
        }}
        farp {{
            load = no
        }}
        bypass-lan {{
            load = no
        }}
        kernel-libipsec {{
            load = no
        }}
        {radius}
    }}
}}
"""
_RADIUS = """\
eap-radius {{
            load = yes
            nas_identifier = strongSwan
            accounting = no
            sockets = {sockets}
            retransmit_timeout = {repeat}
            servers {{
                one {{
                    address = 127.0.0.1
                    auth_port = 1812
                    secret = "{secret}"
                }}
            }}
        }}"""
_NO_RADIUS = """\
eap-radius {
            load = no
        }"""
_GATEWAY = """\
connections {
    anybody {
        version = 2
        local_addrs = 127.0.0.1
        childless = force
        send_cert = always
        local {
            auth = pubkey
            certs = gateway.pem
            id = vpn.example.test
        }
        remote {
            auth = eap-radius
            id = %any
            eap_id = %any
        }
    }
}
"""
_CLIENT = """\
connections {{
    home {{
        version = 2
        local_addrs = 127.0.0.1
        remote_addrs = 127.0.0.1
        remote_port = 500
        childless = force
        local {{
            auth = {method}
            id = "{user}"
            eap_id = "{user}"
        }}
        remote {{
            auth = pubkey
            id = vpn.example.test
        }}
    }}
}}
secrets {{
    eap {{
        id = "{user}"
        secret = "{password}"
    }}
}}
"""


class StrongSwan:
    """`with StrongSwan(folder, namespace, secret) as vpn: …`. It asks 127.0.0.1:1812 there.

    `sockets`: how many logins may wait at once. `repeat`: seconds to its first repetition.
    """

    def __init__(
        self, folder: Path, namespace: Namespace, secret: str, *, sockets: int = 1, repeat: float = 2.0
    ) -> None:
        self._charon = needs("charon-systemd", "charon-systemd")
        self._swanctl = needs("swanctl", "strongswan-swanctl")
        for plugin, package in (
            ("eap-radius", "libcharon-extra-plugins"),
            ("eap-mschapv2", "libcharon-extauth-plugins"),
            ("openssl", "libstrongswan-standard-plugins"),  # keys on elliptic curves
        ):
            if not Path(f"/usr/lib/ipsec/plugins/libstrongswan-{plugin}.so").exists():
                missing(f"strongSwan's {plugin} is not installed: apt-get install {package}")
        self._folder, self._namespace, self._secret = folder.resolve(), namespace, secret
        files = make_certificate(self._folder / "pki", "vpn.example.test")
        for name in _PORTS:
            for kind in ("x509", "x509ca", "private"):
                (self._folder / name / kind).mkdir(parents=True)
            (self._folder / name / "x509ca" / "vpn.pem").write_bytes(files.authority.read_bytes())
        (self._folder / "gateway" / "x509" / "gateway.pem").write_bytes(files.certificate.read_bytes())
        key = self._folder / "gateway" / "private" / "gateway.key"
        key.touch(mode=0o600)
        key.write_bytes(files.key.read_bytes())
        (self._folder / "gateway" / "swanctl.conf").write_text(_GATEWAY)
        self._sockets, self._repeat = sockets, repeat
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        for name, ports in _PORTS.items():
            radius = (
                _RADIUS.format(secret=self._secret, sockets=self._sockets, repeat=self._repeat)
                if name == "gateway"
                else _NO_RADIUS
            )
            config = self._folder / f"{name}.conf"
            config.touch(mode=0o600)
            config.write_text(_DAEMON.format(ports=ports, folder=self._folder, name=name, radius=radius))
            process = Process(
                self._namespace.inside([self._charon]),
                self._folder / f"{name}.log",
                {"STRONGSWAN_CONF": str(config)},
            )
            self._processes.append(process)
            process.wait_for_text("spawning 16 worker threads")
        assert self._control("gateway", "--load-all").returncode == 0, self.log
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.stop()

    @property
    def log(self) -> str:
        return "".join((self._folder / f"{name}.log").read_text(errors="replace")[-3000:] for name in _PORTS)

    def log_in(self, method: str, user: str, password: str, *, client: str = "client") -> bool:
        """`method`: as swanctl.conf has it, such as eap-mschapv2. Whether an IKE_SA came of it."""
        config = self._folder / client / "swanctl.conf"
        config.touch(mode=0o600)
        config.write_text(_CLIENT.format(method=method, user=user, password=password))
        loaded = self._control(client, "--load-all", "--clear")
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        ended = self._control(client, "--initiate", "--ike", "home", "--timeout", "60")
        self._control(client, "--terminate", "--ike", "home", "--force")
        return ended.returncode == 0

    def _control(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        verb, *more = arguments
        return subprocess.run(
            [self._swanctl, verb, "--uri", f"unix://{self._folder}/{name}.vici", *more],
            env=os.environ
            | {
                "STRONGSWAN_CONF": str(self._folder / f"{name}.conf"),
                "SWANCTL_DIR": str(self._folder / name),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
