"""What another node says, and what this one makes of it (H4 to H6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.challenge import Forged, Kind, Pending
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.nodes import Held, Over, Prompt, Repeated, Turn, Verdict
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import FactorAllow, FactorCall, FactorDeny, PreauthAllow, Verified
from authproxy.pipeline.prompting import Prompts
from authproxy.pipeline.push_limit import PushLimit, PushRules
from authproxy.pipeline.second_step import SecondStep

from .fakes import Cloud, Directory, Door, Record, Seal, WallClock, challenges, request, run


@dataclass
class Others:
    """The other nodes: `said` instead of asking the user, if it is anything."""

    said: Verdict | Held | Repeated | Over | None = None
    turn: Turn = Turn.FIRST
    part: int = 1
    prompts: list[Prompt] = field(default_factory=list)
    kept: dict[bytes, bytes] = field(default_factory=dict)

    def identify(self, *parts: bytes) -> bytes:
        return repr(parts).encode()

    async def prompt(
        self, prompt: Prompt, ask: Callable[[], Awaitable[Verdict]] | None
    ) -> Verdict | Held | Repeated | Over:
        self.prompts.append(prompt)
        if self.said is not None:
            return self.said
        return Over.OVER if ask is None else await ask()

    def share(self, most: int) -> int:
        return max(1, most // self.part)

    async def keep(self, challenge: bytes, octets: bytes, seconds: float) -> None:
        self.kept[challenge] = octets

    async def answer(self, challenge: bytes, seconds: float) -> tuple[Turn, bytes]:
        return self.turn, self.kept.get(challenge, b"")


class Carrying:
    def pack(self, carried: object) -> bytes:
        return b"packed " + str(carried).encode()

    def unpack(self, octets: bytes) -> object:
        if not octets.startswith(b"packed "):
            raise ValueError("not ours")
        return octets.decode().removeprefix("packed ")


class Node:
    """One node; nodes with `others` in common know the same."""

    def __init__(self, others: Others, *, mode: Mode = Mode.AUTO, carries: bool = False) -> None:
        self.others = others
        self.cloud = Cloud()
        self.record = Record()
        self.limit = PushLimit()
        self.challenges = challenges(Seal(), WallClock(), nodes=others)
        policy = Policy(FailMode.SECURE, mode=mode, radius_primary=carries, carries=carries)
        prompts = Prompts(self.limit, PushRules(most=4), "api", nodes=others, denial_memory=30)
        carrying = Carrying() if carries else None
        second = SecondStep(
            policy, self.cloud, Door(), self.challenges, lambda: 0.0, prompts, carrying=carrying
        )
        directory = Directory(Verified("alice", "uid=alice", carried="attributes"))
        self.pipeline = Pipeline(policy, directory, second, self.record, lambda: 0.0)

    def log_in(self, password: bytes = b"right", **changes: Any) -> Decision:
        return run(self.pipeline.authenticate(request(password, can_challenge=True, **changes)))

    def state(self) -> bytes:
        challenge = self.log_in()
        assert isinstance(challenge, Challenge)
        return challenge.state

    @property
    def cause(self) -> str:
        return self.record.decisions[-1][1].cause


# ---- prompts


def test_the_verdict_of_another_node() -> None:
    node = Node(Others(FactorAllow("Success", "T1")))
    assert node.log_in() == Accept(Reason.BOTH_FACTORS, "Success", "attributes")
    assert node.cloud.calls == []
    assert node.record.decisions[-1][1].txid == "T1"
    node = Node(Others(FactorDeny("fraud", "", "T2")))
    assert node.log_in() == Reject(Reason.FRAUD)


@pytest.mark.parametrize(
    ("said", "decision", "cause"),
    [
        (Held("push_paused"), Reason.PUSH_LIMIT, "push_paused"),
        (Held("push_pending"), Reason.PUSH_LIMIT, "push_pending"),
        (Repeated("deny"), Reason.FACTOR_DENIED, "repeated"),
        (Repeated("fraud"), Reason.FRAUD, "repeated"),
        (Over.OVER, Reason.BAD_STATE, "answered"),
    ],
)
def test_nothing_else_lets_anybody_in(said: Any, decision: Reason, cause: str) -> None:
    node = Node(Others(said))
    assert node.log_in().reason is decision
    assert node.cause == cause
    assert node.cloud.calls == []


def test_a_passcode_asks_nobody_else() -> None:
    node = Node(Others(FactorDeny("deny")))
    assert node.log_in(b"right,123456").reason is Reason.BOTH_FACTORS
    assert node.others.prompts == []


def test_a_wrong_password_gets_no_verdict() -> None:
    node = Node(Others(FactorAllow()))
    assert node.log_in(b"wrong").reason is Reason.PRIMARY_REJECTED
    assert node.others.prompts == []


@pytest.mark.parametrize(
    "other",
    [
        {"password": b"right,push"},
        {"section": "other"},
        {"calling_station": b"198.51.100.9"},
        {"client_ip": "198.51.100.9"},
        {"shown": b"another port"},
        {"username": "CORP\\alice"},
    ],
)
def test_what_makes_it_another_login(other: dict[str, Any]) -> None:
    """R46: whatever the answer may depend on."""
    node = Node(Others())
    node.log_in()
    node.log_in(**other)
    one, two = node.others.prompts
    assert one.whose == two.whose
    assert one.login != two.login


def test_what_doesnt() -> None:
    """Another NAS, another packet: it fails over."""
    node = Node(Others())
    node.log_in()
    node.log_in(client="second", nas_ip="10.1.0.2", login="L2", received=5.0, deadline=105.0)
    one, two = node.others.prompts
    assert one.login == two.login


def test_another_application() -> None:
    """A section of this name may be another one at another node: another application, or another account."""
    prompted = []
    for account, application in (("api", "DI1"), ("api", "DI2"), ("other", "DI1")):
        others = Others()
        prompts = Prompts(account=account, application=application, nodes=others)
        call = FactorCall("push")
        run(prompts.ask(request(), "alice", call, Cloud(), lambda: 0.0))
        prompted += [prompt.login for prompt in others.prompts]
    assert len(set(prompted)) == 3


def test_a_prompt_says_whose_it_is_and_hides_the_password() -> None:
    node = Node(Others())
    node.log_in()
    (prompt,) = node.others.prompts
    assert (prompt.whose, prompt.user, prompt.section, prompt.denial_memory) == (
        "alice\0api",
        "alice",
        "vpn",
        30,
    )


def test_the_limit_is_divided_while_the_others_are_out_of_reach() -> None:
    """H5: of four unapproved prompts, two."""
    node = Node(Others(FactorDeny("deny"), part=2))
    assert [node.log_in().reason for _ in range(3)] == [
        Reason.FACTOR_DENIED,
        Reason.FACTOR_DENIED,
        Reason.PUSH_LIMIT,
    ]


def test_what_is_no_failure_of_the_users() -> None:
    """Held and repeated logins prompt nobody."""
    node = Node(Others(Repeated("deny"), part=4))
    for _ in range(5):
        assert node.log_in().reason is Reason.FACTOR_DENIED
    assert len(node.limit) == 0


# ---- challenges


def two_nodes(*, carries: bool = False) -> tuple[Node, Node]:
    others = Others()
    return Node(others, mode=Mode.CHALLENGE, carries=carries), Node(
        others, mode=Mode.CHALLENGE, carries=carries
    )


@pytest.mark.parametrize("carries", [False, True])
def test_an_answer_at_another_node(carries: bool) -> None:
    one, two = two_nodes(carries=carries)
    decision = two.log_in(b"123456", state=one.state())
    assert decision == Accept(Reason.BOTH_FACTORS, "", "attributes" if carries else None)
    assert two.record.decisions[-1][1].dn == "uid=alice"


def test_an_answer_at_the_node_that_asked() -> None:
    one, _ = two_nodes(carries=True)
    assert one.log_in(b"123456", state=one.state()) == Accept(Reason.BOTH_FACTORS, "", "attributes")


def test_a_code_that_another_node_has_tried() -> None:
    """R40: there is no second one."""
    one, two = two_nodes()
    state = one.state()
    one.others.turn = Turn.AGAIN
    for node in (one, two):
        assert node.log_in(b"123456", state=state) == Reject(Reason.BAD_STATE)
        assert node.cause == "answered"
        assert node.cloud.calls == []


def test_a_state_that_was_answered_is_no_bypass_either() -> None:
    """R40: whatever the cloud says of the user by now."""
    one, two = two_nodes()
    state = one.state()
    one.others.turn = Turn.AGAIN
    two.cloud.preauth_answer = PreauthAllow()
    assert two.log_in(b"1", state=state) == Reject(Reason.BAD_STATE)


def test_the_push_that_came_of_the_same_answer() -> None:
    """H6: the NAS sends its answer to the next node while the push waits at the first."""
    one, two = two_nodes()
    state = one.state()
    one.others.turn = Turn.AGAIN
    one.others.said = FactorAllow()
    assert two.log_in(b"1", state=state).reason is Reason.BOTH_FACTORS
    assert two.cloud.calls == []
    one.others.said = None
    assert one.log_in(b"1", state=state) == Reject(Reason.BAD_STATE)
    assert one.cloud.calls == []


def test_nobody_can_tell_whether_it_was_answered() -> None:
    """H5: the node that asked knows; another one doesn't."""
    one, two = two_nodes()
    state = one.state()
    one.others.turn = Turn.UNKNOWN
    assert two.log_in(b"123456", state=state) == Reject(Reason.BAD_STATE)
    assert two.cause == "nodes_unreachable"
    assert one.log_in(b"123456", state=state).reason is Reason.BOTH_FACTORS


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"no JSON",
        b"[]",
        b'{"username": "alice", "dn": "", "carried": "!"}',
        b'{"username": "alice", "dn": "", "carried": "Zm9yZWlnbg=="}',
        b'{"username": "alice", "carried": ""}',
    ],
)
def test_without_the_attributes_there_is_no_session(kept: bytes) -> None:
    """A session without the attributes that restrict it is more than the primary granted."""
    one, two = two_nodes(carries=True)
    state = one.state()
    for challenge in one.others.kept:
        one.others.kept[challenge] = kept
    assert two.log_in(b"123456", state=state) == Reject(Reason.BAD_STATE)
    assert two.cause == "forgotten"


def test_what_was_kept_of_another_user() -> None:
    one, two = two_nodes(carries=True)
    state = one.state()
    for challenge in one.others.kept:
        one.others.kept[challenge] = b'{"username": "root", "dn": "", "carried": "cGFja2VkIA=="}'
    assert two.log_in(b"123456", state=state) == Reject(Reason.BAD_STATE)
    assert two.cause == "another_user"


def test_a_name_that_is_too_long_for_a_state() -> None:
    """The other node has it from what was kept."""
    others = Others()
    long = "a" * 250
    one = challenges(Seal(), nodes=others)
    two = challenges(Seal(), nodes=others)
    state = run(one.put(request(), Pending(Kind.FACTOR, long), Carrying()))
    assert run(two.answer(request(b"1", state=state), Carrying())).username == long
    others.kept.clear()
    three = challenges(Seal(), nodes=others)
    with pytest.raises(Forged, match="forgotten"):
        run(three.answer(request(b"1", state=state), Carrying()))


def test_an_enrolment_that_was_answered() -> None:
    others = Others(turn=Turn.AGAIN)
    made = challenges(Seal(), nodes=others)
    state = run(made.put(request(), Pending(Kind.ENROLL, "alice"), Carrying()))
    with pytest.raises(Forged, match="answered"):
        run(made.answer(request(b"1", state=state), Carrying()))
