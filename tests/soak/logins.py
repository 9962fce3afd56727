"""The clients of a soak: each with users of its own, each login with what it must and what it must never come to."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.soak.world import Soak
from tests.system.bench import wire
from tests.system.bench.directory import BASE
from tests.system.bench.journal import CloudRequest
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, CALLING_STATION_ID, STATE
from tests.system.bench.world import Login

PATIENCE = 28.0  # seconds; longer than the daemon's own
ACCEPTED, REFUSED, SILENT = "accepted", "refused", "unanswered"


@dataclass
class Tally:
    """What came of the logins, over all clients."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # kind, calm or fault, outcome
    seconds: list[float] = field(
        default_factory=list
    )  # of accepted logins in calm whose users answer at once
    wrong: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """One login after the other, at random times; stops between two of them when it is told to."""

    def __init__(
        self, world: Soak, number: int, tally: Tally, pause: Callable[[], None], every: float
    ) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._world, self._tally, self._pause, self._every = world, tally, pause, every
        self._random = random.Random(secrets.randbits(64))
        self.ended = threading.Event()
        user = f"client{number}"
        self._good = [world.add_user(f"{user}-{each}") for each in range(6)]
        self._denying = [world.add_user(f"{user}-denies-{each}", answer="deny") for each in range(3)]
        self._mistaken = [world.add_user(f"{user}-errs-{each}") for each in range(3)]
        self._kinds: dict[str, tuple[int, Callable[[], tuple[str, float]]]] = {
            "push, RADIUS": (25, self._push),
            "push, silent in outages": (5, self._push_or_silence),
            "push, answered late": (10, self._late),
            "passcode, RADIUS": (15, self._passcode),
            "challenge, RADIUS": (10, self._challenge),
            "push, LDAP": (15, self._ldap),
            "wrong password": (8, self._wrong_password),
            "wrong password, LDAP": (4, self._wrong_bind),
            "denied by the user": (6, self._denied),
            "junk": (2, self._junk),
        }

    def run(self) -> None:
        weights = [weight for weight, _ in self._kinds.values()]
        while not self.ended.wait(self._random.expovariate(1 / self._every)):
            self._pause()
            (kind,) = self._random.choices(list(self._kinds), weights)
            before = self._world.weather
            try:
                outcome, seconds = self._kinds[kind][1]()
            except (OSError, AssertionError) as problem:
                outcome, seconds = SILENT, 0.0
                if not isinstance(problem, OSError) or before.calm:
                    self._note_wrong(kind, f"{type(problem).__name__}: {problem}")
            calm = before.calm and self._world.weather == before
            self._note(kind, outcome, seconds, calm=calm)

    def _note(self, kind: str, outcome: str, seconds: float, *, calm: bool) -> None:
        must = ACCEPTED if "wrong" not in kind and "denied" not in kind else REFUSED
        if kind == "junk":
            must = SILENT
        with self._tally.lock:
            self._tally.outcomes[kind, "calm" if calm else "fault", outcome] += 1
            if calm and outcome == ACCEPTED and "late" not in kind:
                self._tally.seconds.append(seconds)
        # While something is broken an Accept may be an open door: B2 judges that. Wrong passwords never get in.
        if (calm and outcome != must) or (outcome == ACCEPTED and "wrong" in kind):
            self._note_wrong(kind, f"{outcome} instead of {must}, {'calm' if calm else 'fault'}")

    def _note_wrong(self, kind: str, what: str) -> None:
        wrong = f"{time.strftime('%H:%M:%S', time.gmtime())} {self.name}, {kind}: {what}"
        print(f"WRONG {wrong}", flush=True)
        with self._tally.lock:
            self._tally.wrong.append(wrong)

    # ---- the kinds; each returns the outcome and the seconds that it took

    def _radius(self, user: Login, typed: str, section: int | None = None) -> tuple[str, float]:
        sections = self._world.radius
        nas = self._world.nas_for(sections[self._random.randrange(2) if section is None else section])
        try:
            station = (CALLING_STATION_ID, f"192.0.2.{self._random.randrange(250)}".encode())
            request = nas.login(user.user, typed, station)
            began = time.monotonic()
            nas.send(request)
            if self._random.random() < 0.2:
                nas.send(request)
            if self._random.random() < 0.1:
                nas.send(nas.login(user.user, typed, station))
            reply = nas.receive(request, PATIENCE)
            if reply is not None and reply.code == ACCESS_CHALLENGE:
                chosen = self._random.choice(["1", self._code(user)])
                reply = nas.exchange(nas.login(user.user, chosen, (STATE, reply.values(STATE)[0])), PATIENCE)
            if reply is None:
                return SILENT, time.monotonic() - began
            return ACCEPTED if reply.code == ACCESS_ACCEPT else REFUSED, time.monotonic() - began
        finally:
            nas.close()

    def _code(self, user: Login) -> str:
        """A passcode is good once; the same one again, so that the oracles' list doesn't grow."""
        code = self._world.codes[user.user]
        self._world.cloud.users[user.user].passcodes.add(code)
        return code

    def _push(self) -> tuple[str, float]:
        user = self._random.choice(self._good)
        return self._radius(user, user.password)

    def _push_or_silence(self) -> tuple[str, float]:
        user = self._random.choice(self._good)
        return self._radius(user, user.password, section=3)

    def _late(self) -> tuple[str, float]:
        user = self._random.choice(self._good)
        account = self._world.cloud.users[user.user]
        account.answer = None
        since = len(self._world.journal)
        phone = threading.Thread(target=self._answer_late, args=(user, since), daemon=True)
        phone.start()
        try:
            return self._radius(user, user.password)
        finally:
            account.answer = "allow"
            phone.join(PATIENCE)
            self._world.cloud.decide(user.user, "allow")

    def _answer_late(self, user: Login, since: int) -> None:
        try:
            self._world.journal.wait(
                CloudRequest, lambda r: r.user == user.user and r.endpoint == "auth", since=since, timeout=8
            )
        except AssertionError:
            return  # a fault was in the way
        time.sleep(self._random.random() * 4)  # somebody looks for their phone
        self._world.cloud.decide(user.user, "allow")

    def _passcode(self) -> tuple[str, float]:
        user = self._random.choice(self._good)
        return self._radius(user, f"{user.password},{self._code(user)}")

    def _challenge(self) -> tuple[str, float]:
        user = self._random.choice(self._good)
        return self._radius(user, user.password, section=2)

    def _ldap(self) -> tuple[str, float]:
        user = self._random.choice(self._good)
        return self._bind(user, user.password)

    def _bind(self, user: Login, typed: str) -> tuple[str, float]:
        client = self._world.application_for()
        try:
            began = time.monotonic()
            result = client.bind(f"CN={user.user},OU=People,{BASE}", typed, PATIENCE)
            outcome = SILENT if result is None else ACCEPTED if result == 0 else REFUSED
            return outcome, time.monotonic() - began
        finally:
            client.close()

    def _wrong_password(self) -> tuple[str, float]:
        return self._radius(self._random.choice(self._mistaken), self._world.wrong)

    def _wrong_bind(self) -> tuple[str, float]:
        return self._bind(self._random.choice(self._mistaken), self._world.wrong)

    def _denied(self) -> tuple[str, float]:
        user = self._random.choice(self._denying)
        return self._radius(user, user.password, section=0)

    def _junk(self) -> tuple[str, float]:
        """Octets of any kind at any port; nothing comes back."""
        nas = self._world.nas_for(self._world.radius[0])
        try:
            for _ in range(20):
                octets = self._random.randbytes(self._random.randrange(1, 300))
                nas.flood([octets], 1)
            nas.flood([wire.access_request("nobody", "x" * 20, b"another secret").octets], 1)
        finally:
            nas.close()
        return SILENT, 0.0
