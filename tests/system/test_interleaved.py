"""B5: whatever happens in whatever order, nobody gets in without both factors (oracle B2 over the whole of it)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.system.bench.cloud import status
from tests.system.bench.loop import Fault
from tests.system.bench.nas import Nas
from tests.system.bench.wire import CALLING_STATION_ID, Request
from tests.system.bench.world import Login, World

pytestmark = pytest.mark.system

USERS = 4


class Interleaved(World):
    """A safe and a secure section, users whose pushes wait, short time-outs."""

    def build(self) -> None:
        self.config["ad_client"]["timeout"] = 1
        timing = {"api_timeout": 1, "api_connect_timeout": 0.5, "login_patience": 5}
        for mode in ("secure", "safe"):
            self.add_section(mode, failmode=mode, reject_delay=0, denial_memory=1, **timing)
        self.users = [self.add_user(f"user{number}", answer=None) for number in range(USERS)]
        self.wrong = self.canaries.new("a wrong password")


class Machine(RuleBasedStateMachine):
    def __init__(self, world: Interleaved) -> None:
        super().__init__()
        self.world = world
        self.nases = [[world.nas(section) for _ in range(2)] for section in world.sections]
        self.sent: list[tuple[Nas, Request]] = []
        self.directory_is_there = True

    def _send(self, nas: Nas, request: Request) -> None:
        nas.send(request)
        self.sent.append((nas, request))

    @rule(
        user=st.integers(0, USERS - 1),
        section=st.integers(0, 1),
        nas=st.integers(0, 1),
        right=st.integers(0, 3),
        factor=st.sampled_from(["", "", ",push", ",123456", ",phone"]),
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

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 1000))
    def retransmit(self, which: int) -> None:
        nas, request = self.sent[which % len(self.sent)]
        nas.send(request)

    @rule(
        user=st.integers(0, USERS - 1),
        verdict=st.sampled_from(["allow", "allow", "deny", "timeout", "fraud"]),
    )
    def answer(self, user: int, verdict: str) -> None:
        self.world.cloud.decide(self.world.users[user].user, verdict)  # type: ignore[arg-type]

    @rule(how=st.sampled_from(["refused", "mute", "500", "reset", "silent polls"]))
    def break_cloud(self, how: str) -> None:
        match how:
            case "500":
                self.world.cloud.break_("*", status(500))
            case "reset":
                self.world.cloud.break_("preauth", Fault(times=2, reset=True))
            case "silent polls":
                self.world.cloud.break_("auth_status", Fault(times=2, silent=True))
            case _:
                self.world.cloud.become(how)  # type: ignore[arg-type]

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

    @rule(seconds=st.sampled_from([0.02, 0.1, 0.6]))
    def time_passes(self, seconds: float) -> None:
        self.nases[0][0].hears_nothing(seconds)

    def teardown(self) -> None:
        self.world.cloud.heal()
        if not self.directory_is_there:
            self.world.directory.listen()
        self.world.settle()
        assert self.world.running.running
        self.world.check()


@pytest.fixture(scope="module")
def interleaved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interleaved]:
    world = Interleaved(tmp_path_factory.mktemp("interleaved"))
    world.build()
    world.start()
    yield world
    world.close()


def test_any_order(interleaved: Interleaved) -> None:
    """B5 with B2 as the invariant."""
    run_state_machine_as_test(
        lambda: Machine(interleaved),
        settings=settings(
            max_examples=8,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
