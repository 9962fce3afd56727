"""Cells of the matrix, many at a time: each with a cloud, a section and a user of its own, in one daemon."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.catalogue import Fault, Made, Stage
from tests.faults.cells import Cell
from tests.faults.expected import Factor, Front
from tests.faults.names import Resolver
from tests.faults.ports import TurningCloud
from tests.system.bench.cloud import User
from tests.system.bench.directory import BASE
from tests.system.bench.journal import CloudRequest, PrimaryBind
from tests.system.bench.nas import Nas
from tests.system.bench.oracles import AuditEvent, Section
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, STATE, Reply
from tests.system.bench.world import Login, World, wait_for

# Seconds. Short, because a login that waits costs the test as long; not so short that a busy machine is a fault.
TIMING = {"api_timeout": 4, "api_connect_timeout": 3, "login_patience": 14}
PATIENCE = 60.0  # of a client here, for any answer
AT_ONCE = (
    10  # logins on their way to the fault at a time: what waits at it costs nothing, a crowd before it would
)
ENDPOINTS = {
    Stage.PREAUTH: "*",
    Stage.PREAUTH_ALONE: "preauth",
    Stage.AUTH: "auth",
    Stage.POLLING: "auth_status",
}
HEARD = {ACCESS_ACCEPT: "accept", ACCESS_REJECT: "reject", None: "nothing"}
# RFC 4511 §4.1.9; the contract: 52 for an outage, 49 for a refused factor.
LDAP_CODES = {"both_factors": 0, "fail_open": 0, "fail_closed": 52, "cloud_refused": 52, "factor_timeout": 49}


@dataclass
class Running:
    """A cell as it is played. `heard`: what the client got, or an LDAP result code."""

    cell: Cell
    cloud: TurningCloud
    section: Section
    user: Login
    passcode: str
    nas: Nas | None = None
    heard: str | int | None = None
    problems: list[str] = field(default_factory=list)


class Matrix(World):
    """`play` plays the cells; what is wrong with one stands in its `problems` then."""

    def __init__(self, folder: Path, cells: Sequence[Cell]) -> None:
        super().__init__(folder)
        self.expected_refusals = re.compile("bad timestamp")
        self.resolver = Resolver(folder / "resolver")
        self._numbers = itertools.count(1)
        self._permits = threading.Semaphore(AT_ONCE)
        self._names: dict[str, str] = {}
        self._decisions: dict[str, AuditEvent] = {}
        # Not one each: the oracles look for every piece of every one of them.
        self._key = self.canaries.new("the applications' secret key", 40)
        self._password = self.canaries.new("the users' password")
        self.running_cells = [self._build(cell) for cell in cells]

    # ---- building

    def _build(self, cell: Cell) -> Running:
        number = next(self._numbers)
        address = f"127.1.{number // 200}.{number % 200 + 1}"
        host = self._name(cell) if cell.fault.made is Made.NAME else address
        cloud = TurningCloud(
            self.loop,
            self.journal,
            self.authority.context(host),
            host=host,
            keys={},
            address="127.0.0.1" if host != address else address,
            authority=self.authority,
        )
        name = f"{cell.mode} {number}"
        options = {"cloud": cloud, "failmode": cell.mode.value, "skey": self._key, **TIMING}
        if cell.front is Front.LDAP:
            section = self.add_ldap_section(name, **options)
        else:
            kind = {Front.AUTO: "radius_server_auto", Front.CHALLENGE: "radius_server_challenge"}[cell.front]
            section = self.add_section(name, kind=kind, client="ad_client", **options)
        for ikey in cloud.keys:
            cloud.keys[ikey] = self._key
        self.clouds[f"{host} {number}"] = self.clouds.pop(host)
        user = f"user{number}"
        self.directory.add(user, self._password)
        passcode = self.canaries.passcode(f"the passcode of {user}")
        cloud.users[user] = User(passcodes={passcode})
        return Running(cell, cloud, section, Login(user, self._password), passcode)

    def _name(self, cell: Cell) -> str:
        """One for all cells of a fault and stage: a look-up that hangs takes a thread, and there are few."""
        words = re.sub("[^a-z0-9]+", "-", f"{cell.fault.name} {cell.stage}".lower())
        name = self._names.setdefault(words, f"{words}.faults.test")
        self.resolver.update({name: "127.0.0.1"})
        return name

    # ---- playing

    def play(self) -> list[Running]:
        """All of them, each broken first; B2 and B3 over the whole of it. Raises AssertionError when those fail."""
        self.start(env=self.resolver.env)
        if any(running.cell.at_start for running in self.running_cells):
            self._start_again()
        with ThreadPoolExecutor(len(self.running_cells), thread_name_prefix="cell") as threads:
            for running, done in [(each, threads.submit(self._play, each)) for each in self.running_cells]:
                try:
                    done.result()
                except Exception as failed:  # noqa: BLE001 - the others are still worth knowing
                    running.problems.append(f"{type(failed).__name__}: {failed}")
        for running in self.running_cells:
            running.problems += self._judge(running)
        assert self.running.running
        return self.running_cells

    def _start_again(self) -> None:
        """With the credentials proven, the names bad from the first look-up on, and loopback no place for a cloud."""
        assert self.running.stop() == 0
        for running in self.running_cells:
            if running.cell.at_start:
                self._turn_name(running.cell.fault, running.cloud.host)
                if _is_address(running.cell.fault):
                    self.options(running.section)["allow_local_api"] = False
        self.start(proven=False, env=self.resolver.env)

    def _play(self, running: Running) -> None:
        with self._permits:
            self._break(running)
            hear = self._begin(running)
            # The directory has said yes; from here on the login waits for the cloud, most of the time.
            self.journal.wait(PrimaryBind, lambda bind: bind.user == running.user.user, timeout=PATIENCE)
        if running.cell.expected.heard != "nothing":
            running.heard = hear()

    def _break(self, running: Running) -> None:
        cell, cloud = running.cell, running.cloud
        fault = cell.fault
        if fault.made is Made.PORT:
            cloud.turn_bad(fault, cell.stage)
        elif fault.made is Made.ANSWER:
            assert not isinstance(fault.how, str)
            cloud.break_(ENDPOINTS[cell.stage], fault.how())
        elif cell.stage is not Stage.CONNECT:

            async def turn() -> None:
                self._turn_name(fault, cloud.host)

            cloud.turn_behind("preauth" if cell.stage is Stage.BETWEEN else "auth", turn)

    def _turn_name(self, fault: Fault, host: str) -> None:
        assert isinstance(fault.how, str)
        self.resolver.update({host: fault.how})

    def _begin(self, running: Running) -> Callable[[], str | int | None]:
        """Send the login; the rest of the conversation, which gives what was heard in the end."""
        cell, user = running.cell, running.user
        tail = f",{running.passcode}" if cell.factor is Factor.PASSCODE else ""
        if cell.front is Front.LDAP:
            client = self.application(running.section)
            identifier = client.send(f"CN={user.user},OU=People,{BASE}", user.password + tail)
            return lambda: client.receive(identifier, PATIENCE)
        running.nas = nas = self.nas(running.section)
        typed = user.password if cell.front is Front.CHALLENGE else user.password + tail
        request = nas.login(user.user, typed)
        nas.send(request)
        if cell.front is Front.CHALLENGE and prompts(cell):
            return lambda: _name_of(self._answer_prompt(running, nas, nas.receive(request, PATIENCE)))
        return lambda: _name_of(nas.receive(request, PATIENCE))

    def _answer_prompt(self, running: Running, nas: Nas, question: Reply | None) -> Reply | None:
        assert question is not None, "no prompt came"
        assert question.code == ACCESS_CHALLENGE, f"code {question.code} instead of a prompt"
        typed = running.passcode if running.cell.factor is Factor.PASSCODE else "1"
        answer = nas.login(running.user.user, typed, (STATE, question.values(STATE)[0]))
        return nas.exchange(answer, PATIENCE)

    # ---- judging

    def _judge(self, running: Running) -> Iterator[str]:
        cell, expected, user = running.cell, running.cell.expected, running.user.user
        event = self._decision(user)
        if event is None:
            yield "no decision in the audit"
            return
        found = (event["decision"], event["reason"], event["cause"] or "", event["fail_open"])
        wanted = (expected.decision, expected.reason, expected.cause, expected.fail_open)
        if found != wanted:
            yield f"decided {found} instead of {wanted}: {event.get('detail')}"
        heard: str | int | None = expected.heard or expected.decision
        if cell.front is Front.LDAP:
            heard = LDAP_CODES[expected.reason]
        if running.nas is not None and expected.heard == "nothing":
            running.heard = "nothing" if running.nas.hears_nothing(0.001) else "something"
        if running.heard != heard:
            yield f"the client heard {running.heard} instead of {heard}"
        binds = [bind.result for bind in self.binds(user)]
        if binds != [0]:
            yield f"the directory was asked {len(binds)} times, {binds}"
        asked = [request.endpoint for request in self.journal.all(CloudRequest, lambda r: r.user == user)]
        if asked.count("auth") != expected.pushes:
            yield f"a factor was asked for {asked.count('auth')} times instead of {expected.pushes}: {asked}"
        if (cell.stage is Stage.CONNECT) is not (not asked):
            yield f"the cloud was asked {asked}"

    def _decision(self, user: str) -> AuditEvent | None:
        """The last word on this user's login; each is decided once, but for a prompt before it."""
        try:
            wait_for(lambda: self._decisions.get(user) or self._read_decisions(), 20)
        except AssertionError:
            return None
        return self._decisions[user]

    def _read_decisions(self) -> None:
        for event in self.audit():
            if event.get("decision") in {"accept", "reject"} and event.get("user"):
                self._decisions[event["user"]] = event

    def close(self, *, code: int = 0) -> None:
        for running in self.running_cells:
            running.cloud.fill()
        super().close(code=code)


def prompts(cell: Cell) -> bool:
    """Whether a challenge section gets as far as its prompt."""
    if cell.expected.reason == "both_factors":
        return True
    return cell.stage in (Stage.BETWEEN, Stage.AUTH, Stage.POLLING)


def _name_of(reply: Reply | None) -> str:
    return HEARD[None if reply is None else reply.code]


def _is_address(fault: Fault) -> bool:
    return str(fault.how)[0].isdigit()
