"""The everyday world: one daemon with a section for each thing that a configuration can say."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tests.system.bench.world import Login, World

# Addresses that our NASes send from, by what the daemon was told about them.
STRICT, LAX, LATCHING, CENTRE, SPOOFED = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.5.1", "127.0.5.2"
STRANGER = "127.0.0.66"


class Everyday(World):
    """Users are made anew by each test: `user()`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._numbers = itertools.count(1)
        self.secrets = {
            address: self.canaries.new(f"shared secret of {address}")
            for address in (STRICT, LAX, LATCHING, CENTRE, SPOOFED, "::1")
        }
        clients = [
            {"name": "nas", "ip": "127.0.0.1", "secret": self.secret},
            {
                "name": "strict",
                "ip": STRICT,
                "secret": self.secrets[STRICT],
                "require_message_authenticator": "yes",
            },
            {"name": "lax", "ip": LAX, "secret": self.secrets[LAX], "require_message_authenticator": "no"},
            {"name": "latching", "ip": LATCHING, "secret": self.secrets[LATCHING]},
            {"name": "centre", "ip": "127.0.5.0/24", "secret": self.secrets[CENTRE]},
            {"name": "branch", "ip": SPOOFED, "secret": self.secrets[SPOOFED]},
            {"name": "six", "ip": "::1", "secret": self.secrets["::1"]},
        ]
        # Users that a section's configuration names.
        self.robot = self.add_user("robot")
        self.vpn = self.add_section(
            "vpn", clients=clients, interface=["127.0.0.1", "127.0.0.8"], factors=["push", "phone"]
        )
        # Every address: where Twisted's own port would answer from the wrong one (R12).
        every = ["0.0.0.0", "::"]
        self.everywhere = self.add_section("everywhere", clients=clients, interface=every)
        self.safe = self.add_section("safe", failmode="safe", exempt=("robot",))
        self.latin = self.add_section("latin", pw_codec="latin-1")
        self.calls = self.add_section("calls", factors=["phone", "push"])
        self.codes = self.add_section("codes", factors=["passcode"])
        self.usual = self.add_section("usual")
        del self.options(self.usual)["reject_delay"]
        self.whole = self.add_section("whole", allow_concat=False)

    def user(self, password: str | bytes | None = None, **more: Any) -> Login:
        """A new one. `answer=None`: the push waits until the test decides."""
        return self.add_user(f"user{next(self._numbers)}", password, **more)
