"""A wired 802.1X switch port (hostapd) and the device that is plugged into it (wpa_supplicant), each in a namespace."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.system.parts.namespace import Namespace
from tests.system.parts.needs import needs
from tests.system.parts.process import Process, Watched, watch

IN, OUT = "CTRL-EVENT-EAP-SUCCESS", "CTRL-EVENT-EAP-FAILURE"
_SWITCH = """\
interface=port
driver=wired
ieee8021x=1
eapol_version=2
own_ip_addr=127.0.0.1
nas_identifier=switch
auth_server_addr=127.0.0.1
auth_server_port={port}
auth_server_shared_secret={secret}
"""
_DEVICE = """\
ap_scan=0
network={{
    key_mgmt=IEEE8021X
    eapol_flags=0
    eap={outer}
    phase2="auth={inner}"
    anonymous_identity="anonymous"
    identity="{user}"
    password="{password}"
    ca_cert="{authority}"
}}
"""


class Switch:
    """`with Switch(folder, secret, authority) as switch: …`. It asks 127.0.0.1:1812 in its `namespace`."""

    def __init__(self, folder: Path, secret: str, authority: Path) -> None:
        self._hostapd, self._supplicant = (
            needs("hostapd", "hostapd"),
            needs("wpa_supplicant", "wpasupplicant"),
        )
        self._folder, self._authority = folder.resolve(), authority.resolve()
        self.namespace, self._desk = Namespace(), Namespace()
        self._stack = ExitStack()
        config = self._folder / "hostapd.conf"
        config.touch(mode=0o600)
        config.write_text(_SWITCH.format(port=1812, secret=secret))

    def __enter__(self) -> Self:
        self._stack.enter_context(self.namespace)
        self._stack.enter_context(self._desk)
        self.namespace.join("port", self._desk, "cable")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def log_in(self, method: str, user: str, password: str) -> Watched:
        """`method`: peap-gtc or ttls-pap. Whether the switch lets the device in is what it tells it: IN or OUT.

        A switch of its own for each: behind a refusal it leaves a port alone for a minute.
        """
        outer, _, inner = method.upper().partition("-")
        config, log = self._folder / "device.conf", self._folder / "hostapd.log"
        config.touch(mode=0o600)
        config.write_text(
            _DEVICE.format(outer=outer, inner=inner, user=user, password=password, authority=self._authority)
        )
        log.unlink(missing_ok=True)
        switch = Process(self.namespace.inside([self._hostapd, str(self._folder / "hostapd.conf")]), log)
        try:
            switch.wait_for_text("AP-ENABLED")
            device = [self._supplicant, "-D", "wired", "-i", "cable", "-c", str(config)]
            return watch(self._desk.inside(device), [IN, OUT])
        finally:
            switch.stop()
