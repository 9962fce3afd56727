"""The world of the other modes: a section for each, over the directory, over FreeRADIUS, over a scripted server."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tests.system.bench.mschap import vendor_specific
from tests.system.bench.radius_primary import Asked, RadiusPrimary
from tests.system.bench.world import Login, World
from tests.system.parts.freeradius import FreeRadius, Person

# What FreeRADIUS gives `many`, in its words.
MANY = (
    'Reply-Message = "line one"',
    'Reply-Message += "line two"',
    "Class = 0x00ff10",
    'Class += "second class"',
    'Filter-Id = "vpn-users"',
    "Framed-IP-Address = 10.1.2.3",
    "Session-Timeout = 3600",
    "Service-Type = Administrative-User",
    'Cisco-AVPair = "shell:priv-lvl=15"',
    'Cisco-AVPair += "ip:inacl#1=permit ip any any"',
    "Tunnel-Type:1 = VLAN",
    'Tunnel-Private-Group-Id:1 = "42"',
    'Tunnel-Password:1 = "secret tunnel"',
    'Fortinet-Group-Name = "fg"',
)


class Modes(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._numbers = itertools.count(1)
        self.challenge = self.add_section("challenge", kind="radius_server_challenge", client="ad_client")
        self.html = self.add_section(
            "html", kind="radius_server_challenge", client="ad_client", prompt_format="html"
        )
        self.short = self.add_section(
            "short", kind="radius_server_challenge", client="ad_client", prompt_format="short"
        )
        self.quiet = self.add_section(
            "quiet", kind="radius_server_challenge", client="ad_client", enroll_challenge=False
        )
        self.concat = self.add_section("concat", kind="radius_server_concat", client="ad_client")
        self.factor_only = self.add_section("factor-only", kind="radius_server_duo_only")
        self.config["duo_only_client"] = {}
        self.trusting = self.add_section("trusting", client="duo_only_client")
        self.safe = self.add_section(
            "safe", kind="radius_server_challenge", client="ad_client", failmode="safe"
        )
        self._over_freeradius()
        self._over_script()
        # The other application's answers to a State of `challenge`.
        self.other = self.add_section("other", kind="radius_server_challenge", client="ad_client")
        self.canaries.keep("the tunnel's password", "secret tunnel")

    def _over_freeradius(self) -> None:
        def password(name: str) -> str:
            return self.canaries.new(f"the password of {name}")

        self.codes = [self.canaries.passcode("the primary's first code"), "222222"]
        people = {
            "many": Person(password("many"), MANY),
            "plain": Person(password("plain"), ('Reply-Message = "Hello"', 'Class = "staff"')),
            "denied": Person(password("denied"), MANY),
            "asked": Person(password("asked"), codes=(self.codes[0],)),
            "twice": Person(password("twice"), codes=(self.codes[0], self.codes[1])),
            "expired": Person(password("expired"), checks=("SMB-Account-Ctrl := 131088",)),
            "changes": Person(password("changes"), old=password("changes, before")),
            "eve": Person(password("eve")),
            "robot": Person(password("robot")),
        }
        self.freeradius = FreeRadius(
            self.folder / "freeradius", self.canaries.new("the secret of FreeRADIUS"), people, names=True
        )
        # As it is delivered: nothing tells who is inside.
        self.delivered = FreeRadius(
            self.folder / "delivered", self.canaries.new("the secret of the other FreeRADIUS"), people
        )
        self.know_passwords({name: person.password for name, person in people.items()})
        server = (self.freeradius.port, self.freeradius.secret)
        self.use_radius("radius_client", *server, pass_through_all=True)
        self.use_radius("radius_client2", *server, pass_through_attr_names=["Class", "Cisco-AVPair"])
        self.use_radius("radius_client3", *server)
        self.relay = self.add_section("relay", client="radius_client")
        self.named = self.add_section("named", client="radius_client2")
        self.bare = self.add_section("bare", client="radius_client3")
        other = (self.delivered.port, self.delivered.secret)
        self.use_radius("radius_client6", *other, eap_outer_name="refuse")
        self.use_radius("radius_client7", *other, eap_outer_name="trust")
        self.use_radius("radius_client8", *other)
        self.unnamed = self.add_section("unnamed", client="radius_client6", exempt=("robot",))
        self.trusted = self.add_section("trusted", client="radius_client7")
        self.outer = self.add_section("outer", client="radius_client8", exempt=("robot",))
        self.asks = self.add_section("asks", kind="radius_server_challenge", client="radius_client")

    def _over_script(self) -> None:
        self.scripted = RadiusPrimary(self.journal, lambda asked: asked.reply(2))
        self.second = RadiusPrimary(self.journal, lambda asked: asked.reply(2), secret=self.scripted.secret)
        self.use_radius("radius_client4", self.scripted.port, self.scripted.secret, pass_through_all=True)
        self.use_radius(
            "radius_client5", [self.scripted.port, self.second.port], self.scripted.secret, retries=1
        )
        self.octets = self.add_section("octets", client="radius_client4", pass_through_all=True)
        self.some = self.add_section(
            "some",
            client="radius_client4",
            pass_through_attr_names=["Calling-Station-Id", "NAS-Port-Type", "Cisco-AVPair"],
        )
        self.pair = self.add_section("pair", client="radius_client5")

    def start(self, **more: Any) -> Any:
        self.freeradius.start()
        self.delivered.start()
        return super().start(**more)

    def user(self, password: str | None = None, **more: Any) -> Login:
        """A new one, known to the directory and the cloud."""
        return self.add_user(f"user{next(self._numbers)}", password, **more)

    def person(self, name: str) -> Login:
        """One of FreeRADIUS's."""
        return Login(name, self.freeradius.people[name].password)

    def settle(self) -> None:
        self.scripted.script = self.second.script = lambda asked: asked.reply(2)
        super().settle()

    def close(self, *, code: int = 0) -> None:
        try:
            super().close(code=code)
        finally:
            self.freeradius.stop()
            self.delivered.stop()
            self.scripted.close()
            self.second.close()


# Formats that no dictionary here could take apart and put together again the same.
STRANGE: list[tuple[int, bytes]] = [
    (25, b"first"),
    vendor_specific(9, (1, b"a=b"), (1, b"c=d"), (2, b"")),
    (25, b"\x00\xff second"),
    (26, b"\x00\x00\x01\xad" + b"\x00\x00\x90\x01" + b"usr"),  # USR: types of four octets
    (26, (24757).to_bytes(4, "big") + b"\x01\x06\x80abc"),  # WiMAX: a continuation octet
    (241, b"\x01extended"),  # RFC 6929
    (245, b"\x1a\x80long"),
    (25, b"third"),
    (26, b"\x00\x00"),  # too short for a vendor
    (11, b"x" * 253),
]


def greets(*attributes: tuple[int, bytes]) -> Any:
    """A script: an Accept with these."""

    def script(asked: Asked) -> bytes:
        return asked.reply(2, *attributes)

    return script
