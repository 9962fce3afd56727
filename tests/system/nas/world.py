"""A daemon, and doors for the clients of others: a tap before each section, so that the oracles see what passes."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from pathlib import Path

from tests.system.bench.cloud import User
from tests.system.bench.journal import Journal
from tests.system.bench.oracles import Section
from tests.system.bench.tap import Tap
from tests.system.bench.world import Login, World
from tests.system.parts.pki import make_certificate

# A denial comes last: the same login again is refused for a while without a push (R47).
CASES = ("push", "passcode", "wrong password", "denied")
SIGNING = "127.0.0.2"
LogIn = Callable[..., bool]


class Doors(World):
    """Users are made anew by each test."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._numbers = itertools.count(1)
        self._doors: list[Tap] = []
        self._named: dict[str, Login] = {}
        clients = [{"name": ip, "ip": ip, "secret": self.secret} for ip in ("127.0.0.1", SIGNING)]
        self.auto = self.add_section("auto", factors=["push"], clients=clients)
        self.asking = self.add_section("asking", kind="radius_server_challenge", clients=clients)
        server = make_certificate(folder / "server", "radius.example.test")
        self.eap_authority = server.authority
        files = {"certs": str(server.certificate), "pkey": str(server.key)}
        self.eap = self.add_section(
            "eap",
            kind="radius_server_eap",
            factors=["push"],
            allow_concat=True,
            clients=clients,
            **files,
        )

    def door(self, section: Section, *, signs: bool = False, listening: socket.socket | None = None) -> int:
        """The port that a client is told: it is there until the world ends.

        `signs`: it sends Message-Authenticators, and is held to it from then on (R19); most that send PAP don't.
        `listening`: where the client is, if elsewhere.
        """
        server, source = ("127.0.0.1", section.port), SIGNING if signs else "127.0.0.1"
        journal = self.journal_of(section)
        made = Tap(journal, server, self.secret.encode(), source=source, listening=listening)
        self._doors.append(made)
        return made.port

    def journal_of(self, section: Section) -> Journal:
        """The oracles can't follow a login through EAP, whose name and password are inside: it is not shown to them."""
        return Journal() if section is self.eap else self.journal

    def user(self, name: str | None = None) -> Login:
        """A new one, or the one of this name."""
        if name is None:
            return self.add_user(f"user{next(self._numbers)}")
        if name not in self._named:
            self._named[name] = self.add_user(name)
        return self._named[name]

    def play(self, case: str, log_in: LogIn, *, name: str | None = None) -> None:
        """A case with a client that has a name, a password and nothing else: `log_in(user, password)`."""
        self._play(case, log_in, name, lambda password, passcode: [f"{password},{passcode}"], [])

    def play_menu(self, case: str, log_in: LogIn, *, name: str | None = None) -> None:
        """A case with a client that shows an Access-Challenge: `log_in(user, password, answer)`."""
        self._play(case, log_in, name, lambda password, passcode: [password, passcode], ["1"])

    def _play(
        self,
        case: str,
        log_in: LogIn,
        name: str | None,
        with_passcode: Callable[[str, str], list[str]],
        answers: list[str],
    ) -> None:
        passcode, user = self.canaries.passcode(case), self.user(name)
        known = User(answer="deny" if case == "denied" else "allow", passcodes={passcode})
        self.cloud.users[user.user.lower()] = known
        asked, bound = len(self.asked(user.user)), len(self.binds(user.user))
        match case:
            case "passcode":
                typed, factors = with_passcode(user.password, passcode), ["passcode"]
            case "wrong password":
                typed, factors = [self.canaries.new("wrong password"), *answers], []
            case _:
                typed, factors = [user.password, *answers], ["push"]
        assert log_in(user.user, *typed) == (case in {"push", "passcode"})
        assert [call["factor"] for call in self.asked(user.user)[asked:]] == factors
        assert len(self.binds(user.user)) == bound + 1

    def close(self, *, code: int = 0) -> None:
        try:
            super().close(code=code)
        finally:
            for door in self._doors:
                door.close()
