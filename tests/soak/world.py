"""The world of a soak: a daemon with every kind of section, and a weather that changes."""

from __future__ import annotations

import itertools
import random
import re
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.bench.cloud import failed, status
from tests.system.bench.daemon import Daemon
from tests.system.bench.directory import BASE
from tests.system.bench.http1 import response
from tests.system.bench.ldap_client import LdapClient
from tests.system.bench.loop import Fault
from tests.system.bench.nas import Nas
from tests.system.bench.oracles import Section
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, CALLING_STATION_ID, STATE
from tests.system.bench.world import Login, World, wait_for

INSIDE = Path(__file__).with_name("inside.py")
PLACES = 8
_RELOADED = " service.reloaded "
TIMING = {"api_timeout": 4, "api_connect_timeout": 2, "login_patience": 20}


@dataclass(frozen=True, slots=True)
class Weather:
    """`number`: which change this is; two readings that are equal had nothing between them."""

    number: int
    fault: str = ""

    @property
    def calm(self) -> bool:
        return not self.fault


class Soak(World):
    """`weather`: what is broken at the moment."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.expected_refusals = re.compile("the connection ended inside a head|bad timestamp")
        self.config["main"] |= {"log_max_size": 2**40}
        self.config["ad_client"]["timeout"] = 4
        self.radius = [
            self.add_section("secure", **TIMING),
            self.add_section("safe", failmode="safe", **TIMING),
            self.add_section("asks", kind="radius_server_challenge", client="ad_client", **TIMING),
            self.add_section("silent", failmode="silent", **TIMING),
        ]
        # Who missed a push in a fault may ask again in the calm behind it, all at once (R47).
        self.ldap = self.add_ldap_section("apps", failmode="safe", denial_memory=0, **TIMING)
        self.wrong = self.canaries.new("a wrong password")
        self.codes: dict[str, str] = {}
        self.users: list[Login] = []
        self.weather = Weather(0)
        self.recoveries: list[
            float
        ] = []  # seconds from the end of a fault to the first login by both factors
        self._numbers = itertools.count(1)
        self._random = random.Random(secrets.randbits(64))
        self._canary: Login = self.add_user("canary")

    def add_user(self, name: str, *given: Any, **more: Any) -> Login:
        self.codes[name] = self.canaries.passcode(f"the passcode of {name}")
        user = super().add_user(name, *given, **more)
        self.users.append(user)
        return user

    def nas_for(self, section: Section) -> Nas:
        """Closed by whoever took it."""
        return Nas(self.journal, ("127.0.0.1", section.port), self.secret.encode())

    def application_for(self) -> LdapClient:
        return LdapClient(self.journal, ("127.0.0.1", self.ldap.port), timeout=10)

    @property
    def figures(self) -> Path:
        """The socket of the daemon's own figures."""
        return self.folder / "figures"

    def start(self, **more: Any) -> Daemon:
        return super().start(prefix=[sys.executable, str(INSIDE), str(self.figures)], **more)

    def reload(self) -> None:
        """And wait until it is done."""
        before = self.log().count(_RELOADED)
        self.running.reload()
        wait_for(lambda: self.log().count(_RELOADED) > before, 20)

    def fill(self) -> None:
        """Fill what has a bound that hours of logins wouldn't reach: the last 500 who passed an open door, from where
        each user has logged in, 8 places, and the names that were read. What grows after that has none.
        """
        self.weather = Weather(next(self._numbers), "the cloud is refused")
        self.cloud.become("refused")
        for place in range(PLACES):
            for first in range(0, len(self.users), 50):
                nas = self.nas_for(self.radius[1])
                for user in self.users[first : first + 50]:
                    nas.ask(user.user, user.password, (CALLING_STATION_ID, f"192.0.2.{place}".encode()))
                nas.close()
        for user in self.users:
            application = self.application_for()
            application.bind(f"CN={user.user},OU=People,{BASE}", user.password)
            application.close()
        self.mend()
        self.recoveries.clear()

    # ---- the weather

    def break_something(self) -> str:
        """Something else each time."""
        faults: dict[str, Callable[[], None]] = {
            "cloud refused": lambda: self.cloud.become("refused"),
            "cloud mute": lambda: self.cloud.become("mute"),
            "cloud resets": lambda: self.cloud.become("hang_up"),
            "cloud alerts": lambda: self.cloud.become("alert"),
            "cloud in clear": lambda: self.cloud.become("plain"),
            "cloud's certificate": lambda: self.cloud.become("other", self.authority.context("other.test")),
            "cloud 500": lambda: self.cloud.break_("*", status(500)),
            "cloud 503 in preauth": lambda: self.cloud.break_("preauth", status(503)),
            "cloud 429": lambda: self.cloud.break_("*", Fault(octets=failed(42901, "Too Many Requests"))),
            "cloud junk": lambda: self.cloud.break_("*", Fault(octets=response(200, b"<html>"))),
            "cloud drips": lambda: self.cloud.break_("*", Fault(drip=0.1)),
            "cloud slow": lambda: self.cloud.break_("*", Fault(delay=1.0)),
            "cloud cuts": lambda: self.cloud.break_("*", Fault(keep=120)),
            "polls lost": lambda: self.cloud.break_("auth_status", Fault(reset=True)),
            "polls silent": lambda: self.cloud.break_("auth_status", Fault(silent=True)),
            "auth lost": lambda: self.cloud.break_("auth", Fault(reset=True)),
            "directory refused": self.directory.refuse,
            "directory hangs up": self.directory.hang_up,
            "directory slow": lambda: self.directory.break_("bind", Fault(delay=1.0)),
            "directory silent": lambda: self.directory.break_("*", Fault(silent=True)),
            "reload": self.running.reload,
        }
        name = self._random.choice(list(faults))
        self.weather = Weather(next(self._numbers), name)
        faults[name]()
        return name

    def mend(self) -> None:
        """All is well again, and stays so until the next fault. Raises AssertionError when logins don't recover."""
        fault = self.weather.fault
        self.cloud.heal()
        self.directory.heal()
        if fault == "directory refused":
            self.directory.listen()
        began = time.monotonic()
        for section in (*self.radius, self.ldap):
            while not self._both_factors(section):
                assert time.monotonic() - began < 90, f"no login by both factors for 90 s after: {fault}"
                time.sleep(0.5)
        self.recoveries.append(time.monotonic() - began)
        self.weather = Weather(next(self._numbers))

    def _both_factors(self, section: Section) -> bool:
        """A login that gets as far as the phone, so no open door."""
        before = len(self.asked(self._canary.user))
        let_in = self._binds() if section is self.ldap else self._logs_in(section)
        return let_in and len(self.asked(self._canary.user)) > before

    def _logs_in(self, section: Section) -> bool:
        nas = self.nas_for(section)
        try:
            reply = nas.ask(self._canary.user, self._canary.password, timeout=25)
            if reply is not None and reply.code == ACCESS_CHALLENGE:
                state = (STATE, reply.values(STATE)[0])
                reply = nas.ask(self._canary.user, "1", state, timeout=25)
        finally:
            nas.close()
        return reply is not None and reply.code == ACCESS_ACCEPT

    def _binds(self) -> bool:
        application = self.application_for()
        try:
            return application.bind(f"CN={self._canary.user},OU=People,{BASE}", self._canary.password) == 0
        finally:
            application.close()
