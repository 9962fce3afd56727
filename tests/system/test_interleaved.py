"""B5: whatever happens in whatever order, nobody gets in without both factors (oracle B2 after every step)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.system.bench.cloud import failed, status
from tests.system.bench.directory import BASE
from tests.system.bench.journal import CloudRequest, RadiusReply
from tests.system.bench.ldap_client import LdapClient
from tests.system.bench.loop import Fault
from tests.system.bench.nas import Nas
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, CALLING_STATION_ID, STATE, Request
from tests.system.bench.world import Login, World

pytestmark = [pytest.mark.system, pytest.mark.long]

USERS = 4
FACTORS = ["", "", ",push", ",123456", ",phone"]
NEVER_AGAIN = 2  # restarts an example: each takes a second


class Interleaved(World):
    """A section of each failmode, one that asks back, an LDAP one; users whose pushes wait; short time-outs."""

    def build(self) -> None:
        self.config["ad_client"]["timeout"] = 1
        self.config["main"]["drain_timeout"] = 1
        timing = {"api_timeout": 1, "api_connect_timeout": 0.5, "login_patience": 5, "denial_memory": 1}
        for mode in ("secure", "safe", "silent"):
            self.add_section(mode, failmode=mode, reject_delay=0, **timing)
        asking = {"kind": "radius_server_challenge", "client": "ad_client", "failmode": "safe"}
        self.add_section("asks", reject_delay=0, **asking, **timing)
        self.apps = self.add_ldap_section("apps", failmode="safe", **timing)
        self.users = [self.add_user(f"user{number}", answer=None) for number in range(USERS)]
        self.codes = [self.canaries.passcode(f"the passcode of {user.user}") for user in self.users]
        self.wrong = self.canaries.new("a wrong password")
        self.let_in = 0


class Calm(RuleBasedStateMachine):
    """Everybody does what they like, and nothing is broken."""

    def __init__(self, world: Interleaved) -> None:
        super().__init__()
        self.world = world
        self.nases = [[world.nas(section) for _ in range(2)] for section in world.sections[:4]]
        self.sent: list[tuple[Nas, Request]] = []
        self.applications: list[LdapClient] = []
        self.directory_is_there = True
        self.restarts = 0

    def _send(self, nas: Nas, request: Request) -> None:
        nas.send(request)
        self.sent.append((nas, request))

    # ---- who asks

    @rule(
        user=st.integers(0, USERS - 1),
        section=st.integers(0, 3),
        nas=st.integers(0, 1),
        right=st.integers(0, 3),
        factor=st.sampled_from(FACTORS),
        station=st.sampled_from([b"", b"192.0.2.1"]),
        identifier=st.sampled_from([None, None, 7]),
    )
    def log_in(
        self,
        user: int,
        section: int,
        nas: int,
        right: int,
        factor: str,
        station: bytes,
        identifier: int | None,
    ) -> None:
        login: Login = self.world.users[user]
        typed = (login.password if right else self.world.wrong) + factor
        sender = self.nases[section][nas]
        self._send(
            sender, sender.login(login.user, typed, (CALLING_STATION_ID, station), identifier=identifier)
        )

    @rule(
        user=st.integers(0, USERS - 1),
        section=st.integers(0, 2),
        station=st.sampled_from([b"", b"192.0.2.1"]),
    )
    def log_in_as_far_as_the_phone(self, user: int, section: int, station: bytes) -> None:
        """Or as far as it gets in this weather."""
        login, sender, since = self.world.users[user], self.nases[section][0], len(self.world.journal)
        self._send(sender, sender.login(login.user, login.password, (CALLING_STATION_ID, station)))
        with contextlib.suppress(AssertionError):
            self.world.journal.wait(
                CloudRequest,
                lambda r: r.user == login.user and r.endpoint == "auth",
                since=since,
                timeout=0.3,
            )

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 1000))
    def retransmit(self, which: int) -> None:
        nas, request = self.sent[which % len(self.sent)]
        nas.send(request)

    @precondition(lambda self: self.sent)
    @rule(
        which=st.integers(0, 1000),
        nas=st.integers(0, 1),
        typed=st.sampled_from(["wrong", "wrong", "right", "other"]),
    )
    def almost_the_same(self, which: int, nas: int, typed: str) -> None:
        """As if it were the last login, or another, again: its user, section and station, perhaps another password."""
        first, request = self.sent[-1 if which % 2 else which % len(self.sent)]
        (section,) = [at for at, pair in enumerate(self.nases) if first in pair]
        user = next(user for user in self.world.users if user.user == request.user)
        other = self.world.users[self.world.users.index(user) - 1]
        password = {"wrong": self.world.wrong, "right": user.password, "other": other.password}[typed]
        sender = self.nases[section][nas]
        station = (CALLING_STATION_ID, request.station)
        self._send(sender, sender.login(user.user, password, station))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 1000), typed=st.sampled_from(["1", "right", "222222", "push", ""]))
    def answer_a_challenge(self, which: int, typed: str) -> None:
        """Of any login's, if one has come; also twice, and also as another user's NAS."""
        nas, request = self.sent[which % len(self.sent)]
        reply = nas.receive(request, 0.001)
        if reply is None or reply.code != ACCESS_CHALLENGE:
            return
        (number,) = [at for at, user in enumerate(self.world.users) if user.user == request.user]
        if typed == "right":
            typed = self.world.codes[number]
            self.world.cloud.users[request.user].passcodes.add(typed)
        self._send(nas, nas.login(request.user, typed, (STATE, reply.values(STATE)[0])))

    @rule(
        user=st.integers(0, USERS - 1),
        right=st.integers(0, 3),
        factor=st.sampled_from(FACTORS),
        which=st.integers(0, 5),
    )
    def bind(self, user: int, right: int, factor: str, which: int) -> None:
        """On a connection of its own, or on one that may have a bind waiting."""
        login: Login = self.world.users[user]
        if which >= len(self.applications):
            self.applications.append(self.world.application(self.world.apps, timeout=5))
            which = -1
        typed = (login.password if right else self.world.wrong) + factor
        try:
            self.applications[which].send(f"CN={login.user},OU=People,{BASE}", typed)
        except OSError:
            # The daemon has ended it. Another, so that which rules apply doesn't hang on what it did when.
            self.applications[which] = self.world.application(self.world.apps, timeout=5)

    @precondition(lambda self: self.applications)
    @rule(which=st.integers(0, 5))
    def hang_up(self, which: int) -> None:
        self.applications.pop(which % len(self.applications)).close()

    # ---- what their users, the cloud and the directory do

    @rule(
        user=st.integers(0, USERS - 1),
        verdict=st.sampled_from(["allow", "allow", "deny", "timeout", "fraud"]),
    )
    def answer(self, user: int, verdict: str) -> None:
        self.world.cloud.decide(self.world.users[user].user, verdict)  # type: ignore[arg-type]

    @precondition(lambda self: self.sent)
    @rule()
    def approve_the_last(self) -> None:
        self.world.cloud.decide(self.sent[-1][1].user, "allow")
        self.sent[-1][0].hears_nothing(0.1)

    # ---- what the administrator does

    @rule(broken=st.booleans())
    def reload(self, broken: bool) -> None:
        config = self.world.write_config()
        if broken:
            config.write_text("main: {")
        self.world.running.reload()

    @precondition(lambda self: self.restarts < NEVER_AGAIN and self.sent)
    @rule()
    def restart(self) -> None:
        """Into whatever goes on: what waits is lost or rejected; who asks again begins anew."""
        self.restarts += 1
        self.world.write_config()
        assert self.world.running.stop() == 0
        self.world.start(proven=False)

    @rule(seconds=st.sampled_from([0.02, 0.1, 0.6]))
    def time_passes(self, seconds: float) -> None:
        self.nases[0][0].hears_nothing(seconds)

    @invariant()
    def nobody_is_in_without_both_factors(self) -> None:
        for nas, _ in self.sent:
            nas.hears_nothing(0.0001)
        self.world.judge()

    def teardown(self) -> None:
        self.world.let_in += len(
            self.world.journal.all(RadiusReply, lambda reply: reply.code == ACCESS_ACCEPT)
        )
        self.world.cloud.heal()
        if not self.directory_is_there:
            self.world.directory.listen()
        self.world.settle()
        assert self.world.running.running
        self.world.forget()


class Stormy(Calm):
    """The cloud and the directory go and come as well."""

    @rule(
        how=st.sampled_from(
            ["refused", "mute", "alert", "500", "500 in preauth", "429", "reset", "silent polls"]
        )
    )
    def break_cloud(self, how: str) -> None:
        cloud = self.world.cloud
        match how:
            case "500":
                cloud.break_("*", status(500))
            case "500 in preauth":
                cloud.break_("preauth", status(500))
            case "429":
                cloud.break_("*", Fault(times=3, octets=failed(42901, "Too Many Requests")))
            case "reset":
                cloud.break_("preauth", Fault(times=2, reset=True))
            case "silent polls":
                cloud.break_("auth_status", Fault(times=2, silent=True))
            case _:
                cloud.become(how)  # type: ignore[arg-type]

    @rule()
    def heal_cloud(self) -> None:
        self.world.cloud.heal()

    @rule()
    def directory_goes_and_comes(self) -> None:
        if self.directory_is_there:
            self.world.directory.refuse()
        else:
            self.world.directory.listen()
        self.directory_is_there = not self.directory_is_there


@pytest.fixture
def interleaved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interleaved]:
    world = Interleaved(tmp_path_factory.mktemp("interleaved"))
    world.build()
    world.start()
    yield world
    world.close()


def play(machine: type[Calm], world: Interleaved, examples: int, steps: int, *, again: bool) -> None:
    run_state_machine_as_test(
        lambda: machine(world),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=again,
            database=None,
            # A shorter one would be nicer to read, and takes minutes to find in a world that goes on meanwhile.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(("machine", "examples"), [(Calm, 5), (Stormy, 5)])
def test_any_order(interleaved: Interleaved, machine: type[Calm], examples: int) -> None:
    """B5 with B2 as the invariant: the same orders every day."""
    play(machine, interleaved, examples, 50, again=True)
    assert interleaved.let_in > 0, "nobody got far enough for anything to be seen"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("machine", [Calm, Stormy])
def test_any_order_at_length(interleaved: Interleaved, machine: type[Calm]) -> None:
    """Others each time: pytest -m slow tests/system/test_interleaved.py."""
    play(machine, interleaved, 40, 60, again=False)
