"""What is believed of a store that may be anybody's: forged, played back, mixed up, gone (H4, H5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.backends.shared_state import scripts
from authproxy.backends.shared_state.link import Unreachable
from authproxy.backends.shared_state.store import SharedState
from authproxy.pipeline.nodes import Held, Over, Prompt, Repeated, Turn, Verdict
from authproxy.pipeline.ports import CloudFailure, FactorAllow, FactorDeny, FailureClass
from authproxy.pipeline.push_limit import PushRules
from authproxy.protocols.shared_state import Claim, NodeKeys
from authproxy.secret import Secret
from tests.listeners.radius.world import Log

KEYS = NodeKeys([Secret(b"k" * 32)], "authproxy")
STRANGER = NodeKeys([Secret(b"s" * 32)], "authproxy")
LOGIN = KEYS.digest(b"alice", b"right")
RULES = PushRules(most=3, window=600, pause=900, fraud_pause=3600)
DOWN = Unreachable("the connection was closed")
ALLOWED = b'{"status": "allow", "message": "Success", "txid": "T1"}'

Said = object | Callable[[Sequence[bytes], Sequence[Any]], object]


class Store:
    """Stands for the link: `says` what each script returns, a list of answers in turn."""

    def __init__(self) -> None:
        self.at, self.why, self.is_up = "redis:6379", "", True
        self.says: dict[str, list[Said]] = {}
        self.asked: list[tuple[str, Sequence[bytes], Sequence[Any]]] = []
        self.closed = False
        self.nonsense: list[str] = []

    def refused(self, why: str) -> Unreachable:
        self.nonsense.append(why)
        return Unreachable(why)

    async def run(self, script: str, keys: Sequence[bytes], values: Sequence[Any]) -> Any:
        self.asked.append((script, keys, values))
        answers = self.says.get(script, [[] if script in (scripts.COLLECT, scripts.WATCH) else b"OK"])
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(said, Exception):
            raise said
        return said(keys, values) if callable(said) else said

    def start(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def of(self, script: str) -> list[tuple[Sequence[bytes], Sequence[Any]]]:
        return [(keys, values) for asked, keys, values in self.asked if asked == script]


class Node:
    def __init__(self) -> None:
        self.clock, self.log, self.store = Clock(), Log(), Store()
        self.alerts: list[tuple[str, str, str]] = []
        self.joined = 0
        self.shared = SharedState(
            self.store,  # type: ignore[arg-type]
            KEYS,
            nodes=2,
            reactor=self.clock,
            log=self.log,
            alert=lambda *told: self.alerts.append(told),
            joined=self._joined,
        )
        self.pushes: list[Deferred[Verdict]] = []

    def _joined(self) -> None:
        self.joined += 1

    async def ask(self) -> Verdict:
        pushed: Deferred[Verdict] = Deferred()
        self.pushes.append(pushed)
        return await pushed

    def begin(self, *, asks: bool = True, deadline: float = 60, rules: PushRules = RULES) -> Deferred[Any]:
        prompt = Prompt("alice\0api", LOGIN, "alice", "vpn", rules, 30, self.clock.seconds() + deadline)
        return Deferred.fromCoroutine(self.shared.prompt(prompt, self.ask if asks else None))

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)


def other(login: bytes = LOGIN) -> Claim:
    """Of another node."""
    return Claim(KEYS.token(), KEYS.token(), login)


def sealed(claim: Claim, *, keys: NodeKeys = KEYS, said: bytes = ALLOWED) -> Said:
    """The verdict of the node with this claim on the question that was put last."""

    def answer(asked: Sequence[bytes], values: Sequence[Any]) -> object:
        token = TOKENS[-1]
        return [token + b" " + keys.seal(b" ".join((b"verdict", token, claim.token, claim.login)), said)]

    return answer


TOKENS: list[bytes] = []


def joins(keys: Sequence[bytes], values: Sequence[Any]) -> object:
    TOKENS.append(values[1].split(b" ")[1])
    return 1


# ---- its own prompt


def test_its_own_turn() -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [[b"mine"]], scripts.FINISH: [[[], b""]]}
    answer = node.begin()
    node.pushes[0].callback(FactorAllow("Success", "T1"))
    assert answer.result == FactorAllow("Success", "T1")
    ((keys, values),) = node.store.of(scripts.CLAIM)
    assert keys == [
        KEYS.name("prompt", b"alice\0api"),
        KEYS.name("pause", b"alice\0api"),
        KEYS.name("denial", LOGIN),
    ]
    claim = Claim.decode(values[0])
    assert claim is not None
    assert claim.login == LOGIN
    assert values[1] == 90_000
    ((_, ended),) = node.store.of(scripts.FINISH)
    assert ended == [values[0], claim.token, b"", b"allow", 0, 3, 600_000, 900_000, 3_600_000]
    assert node.store.of(scripts.TELL) == []


@pytest.mark.parametrize(
    ("verdict", "ended"),
    [
        (FactorDeny("deny"), [b"failed", b"deny", 30_000]),
        (FactorDeny("fraud"), [b"fraud", b"fraud", 30_000]),
        (FactorDeny("timeout"), [b"failed", b"timeout", 0]),
        (FactorDeny("locked_out"), [b"", b"locked_out", 0]),
        (FactorDeny("sent"), [b"failed", b"sent", 0]),
    ],
)
def test_how_it_ended(verdict: FactorDeny, ended: list[object]) -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [[b"mine"]], scripts.FINISH: [[[], b""]]}
    answer = node.begin()
    node.pushes[0].callback(verdict)
    assert answer.result == verdict
    ((_, values),) = node.store.of(scripts.FINISH)
    assert values[2:5] == ended


def test_a_failure_of_the_cloud_ends_it_too() -> None:
    """The next login of this user has its turn; who joined sees that there is no verdict."""
    node = Node()
    node.store.says = {scripts.CLAIM: [[b"mine"]], scripts.FINISH: [[[KEYS.token()], b""]]}
    answer = node.begin()
    node.pushes[0].errback(CloudFailure(FailureClass.UNREACHABLE, "gone"))
    answer.addErrback(lambda failure: failure.trap(CloudFailure))
    assert answer.result is CloudFailure
    ((_, values),) = node.store.of(scripts.FINISH)
    assert values[2:5] == [b"", b"", 0]
    assert node.store.of(scripts.TELL) == []


def test_who_joined_is_told_for_their_own_question() -> None:
    node = Node()
    questions = [(KEYS.token(), KEYS.token()) for _ in range(2)]
    joined = [b" ".join(each) for each in questions]
    node.store.says = {scripts.CLAIM: [[b"mine"]], scripts.FINISH: [[joined, b""]]}
    node.begin()
    node.pushes[0].callback(FactorAllow("Success", "T1"))
    claim = Claim.decode(node.store.of(scripts.CLAIM)[0][1][0])
    assert claim is not None
    for (whose, token), (keys, values) in zip(questions, node.store.of(scripts.TELL), strict=True):
        assert keys == [KEYS.name("inbox", whose)]
        said, _, sealed_ = values[0].partition(b" ")
        assert said == token
        assert KEYS.open(b" ".join((b"verdict", token, claim.token, LOGIN)), sealed_) == ALLOWED


def test_a_pause_is_told_an_administrator() -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [[b"mine"]], scripts.FINISH: [[[], b"push_paused"]]}
    node.begin()
    node.pushes[0].callback(FactorDeny("deny"))
    assert node.alerts == [("push.paused", "alice", "vpn")]


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ([b"held", b"push_paused"], Held("push_paused")),
        ([b"held", b"push_fraud"], Held("push_fraud")),
        ([b"denied", b"deny"], Repeated("deny")),
        ([b"denied", b"fraud"], Repeated("fraud")),
    ],
)
def test_no_prompt_now(said: object, result: object) -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [said]}
    assert node.begin().result == result
    assert node.pushes == []


# ---- another's


def test_it_joins_the_same_login() -> None:
    node, claim = Node(), other()
    node.store.says = {
        scripts.CLAIM: [[b"taken", claim.encode()]],
        scripts.JOIN: [joins],
        scripts.COLLECT: [[], [b"garbage", b"\xff" * 40, None], sealed(claim)],
    }
    answer = node.begin()
    node.wait(2)
    assert answer.result == FactorAllow("Success", "T1")
    assert (node.pushes, node.joined, node.log.events()) == ([], 1, ["login.joined_node"])


@pytest.mark.parametrize("status", ["deny", "fraud", "timeout"])
def test_a_no_is_a_no(status: str) -> None:
    node, claim = Node(), other()
    said = b'{"status": "%s", "message": "", "txid": ""}' % status.encode()
    node.store.says = {
        scripts.CLAIM: [[b"taken", claim.encode()]],
        scripts.JOIN: [joins],
        scripts.COLLECT: [sealed(claim, said=said)],
    }
    answer = node.begin()
    node.wait(1)
    assert answer.result == FactorDeny(status)


def _of_a_stranger(claim: Claim) -> Said:
    return sealed(claim, keys=STRANGER)


def _in_clear(claim: Claim) -> Said:
    return lambda keys, values: [TOKENS[-1] + b" " + ALLOWED]


def _for_another_question(claim: Claim) -> Said:
    """Played back: what this very login was told before."""
    old = KEYS.token()
    place = b" ".join((b"verdict", old, claim.token, claim.login))
    return lambda keys, values: [TOKENS[-1] + b" " + KEYS.seal(place, ALLOWED)]


def _of_another_prompt(claim: Claim) -> Said:
    return sealed(Claim(claim.node, KEYS.token(), claim.login))


def _on_another_login(claim: Claim) -> Said:
    return sealed(Claim(claim.node, claim.token, KEYS.digest(b"bob")))


@pytest.mark.parametrize(
    "forged", [_of_a_stranger, _in_clear, _for_another_question, _of_another_prompt, _on_another_login]
)
def test_a_verdict_that_nobody_has_given(forged: Callable[[Claim], Said]) -> None:
    """The user is asked here: the worst that a store can do is to ask for nothing."""
    TOKENS.clear()
    node, claim = Node(), other()
    node.store.says = {
        scripts.CLAIM: [[b"taken", claim.encode()]],
        scripts.JOIN: [joins],
        scripts.COLLECT: [forged(claim)],
    }
    answer = node.begin()
    node.wait(1)
    assert not answer.called
    node.pushes[0].callback(FactorDeny("deny"))
    assert answer.result == FactorDeny("deny")


@pytest.mark.parametrize(
    "said",
    [
        [b"mine!"],
        [],
        None,
        b"mine",
        [b"taken", b"garbage"],
        [b"taken", None],
        [b"held", b"allow"],
        [b"denied", b"allow"],
        [b"verdict", ALLOWED],
        1,
    ],
)
def test_what_no_node_has_written(said: object) -> None:
    """It asks the user itself, as if it were alone."""
    node = Node()
    node.store.says = {scripts.CLAIM: [said], scripts.FINISH: [[[], b""]]}
    answer = node.begin()
    node.pushes[0].callback(FactorAllow())
    assert answer.result == FactorAllow()
    assert node.store.nonsense == ["an answer that no node has written"]


def test_another_login_of_the_same_user_waits_for_its_turn() -> None:
    node = Node()
    taken = [b"taken", other(KEYS.digest(b"elsewhere")).encode()]
    node.store.says = {scripts.CLAIM: [taken, taken, [b"mine"]], scripts.FINISH: [[[], b""]]}
    answer = node.begin()
    assert node.pushes == []
    node.wait(1)
    node.pushes[0].callback(FactorAllow())
    assert answer.result == FactorAllow()
    assert node.store.of(scripts.JOIN) == []


def test_and_not_longer_than_its_client() -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [[b"taken", other(KEYS.digest(b"elsewhere")).encode()]]}
    answer = node.begin(deadline=5)
    node.wait(5)
    assert answer.result == Held("push_pending")


def test_a_node_that_has_died() -> None:
    """Whoever joined it gets a prompt of their own, and its claim is dropped."""
    node, claim = Node(), other()
    node.store.says = {
        scripts.CLAIM: [[b"taken", claim.encode()], [b"mine"]],
        scripts.JOIN: [joins],
        scripts.WATCH: [[1]],
        scripts.FINISH: [[[], b""]],
    }
    answer = node.begin()
    node.wait(4)
    node.pushes[0].callback(FactorAllow())
    assert answer.result == FactorAllow()
    ((keys, values),) = node.store.of(scripts.BURY)
    assert keys == [KEYS.name("prompt", b"alice\0api"), KEYS.name("node", claim.node)]
    assert values == [claim.encode()]


def test_a_verdict_that_comes_a_step_after_its_prompt_has_ended() -> None:
    node, claim = Node(), other()
    node.store.says = {
        scripts.CLAIM: [[b"taken", claim.encode()]],
        scripts.JOIN: [joins],
        scripts.WATCH: [[1]],
        scripts.COLLECT: [[], [], [], sealed(claim)],
    }
    answer = node.begin()
    node.wait(2)
    assert answer.result == FactorAllow("Success", "T1")


# ---- who only joins


@pytest.mark.parametrize("said", [[b"free"], [b"taken", other(KEYS.digest(b"elsewhere")).encode()]])
def test_an_answer_that_was_given_before_prompts_nobody(said: object) -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [said]}
    answer = node.begin(asks=False)
    node.wait(3)  # the first one may be on its way to its prompt
    assert answer.result is Over.OVER
    assert node.store.of(scripts.CLAIM)[0][1][0] == b""
    assert node.pushes == []


def test_nor_without_the_store() -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [DOWN]}
    assert node.begin(asks=False).result is Over.OVER
    assert node.pushes == []


# ---- the store goes away


@pytest.mark.parametrize(
    "script", [scripts.CLAIM, scripts.JOIN, scripts.COLLECT, scripts.WATCH, scripts.BURY]
)
def test_the_store_goes_away(script: str) -> None:
    """H5: the login goes on, and asks its user itself."""
    node, claim = Node(), other()
    node.store.says = {
        scripts.CLAIM: [[b"taken", claim.encode()]],
        scripts.JOIN: [joins],
        scripts.WATCH: [[1]],
        script: [DOWN],
    }
    answer = node.begin()
    node.wait(4)
    node.pushes[0].callback(FactorDeny("deny"))
    assert answer.result == FactorDeny("deny")
    assert len(node.pushes) == 1


def test_it_goes_away_behind_the_answer() -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [[b"mine"]], scripts.FINISH: [DOWN]}
    answer = node.begin()
    node.pushes[0].callback(FactorAllow())
    assert answer.result == FactorAllow()
    assert "shared_state.failed" not in node.log.events()


def test_limits_while_it_is_away() -> None:
    node = Node()
    assert [node.shared.share(most) for most in (1, 3, 4, 10)] == [1, 3, 4, 10]
    node.store.is_up = False
    assert [node.shared.share(most) for most in (1, 3, 4, 10)] == [1, 1, 2, 5]


def test_limits_while_the_key_is_changed() -> None:
    """The other node may have another first key still, and then neither sees what the other counts."""
    keys = NodeKeys([Secret(b"n" * 32), Secret(b"k" * 32)], "authproxy")
    node = Node()
    shared = SharedState(
        node.store,  # type: ignore[arg-type]
        keys,
        nodes=2,
        reactor=node.clock,
        log=node.log,
    )
    assert [shared.share(most) for most in (1, 3, 4, 10)] == [1, 1, 2, 5]


# ---- challenges


def test_a_challenge() -> None:
    node = Node()
    kept: list[Any] = []
    node.store.says = {
        scripts.KEEP: [lambda keys, values: kept.append((keys[0], values)) or b"OK"],
        scripts.ANSWER: [lambda keys, values: [1, kept[0][1][0]], [0, b""]],
    }
    Deferred.fromCoroutine(node.shared.keep(b"12345678", b"attributes", 300))
    assert kept[0][1][1] == 300_000
    assert b"attributes" not in kept[0][1][0]

    def answer() -> Any:
        return Deferred.fromCoroutine(node.shared.answer(b"12345678", 300)).result

    assert answer() == (Turn.FIRST, b"attributes")
    assert answer() == (Turn.AGAIN, b"")


def test_what_was_kept_with_another_challenge() -> None:
    """It opens at its own place only."""
    node = Node()
    sealed_elsewhere = KEYS.seal(KEYS.name("challenge", b"another!"), b"attributes")
    for said in (sealed_elsewhere, b"attributes", STRANGER.seal(KEYS.name("challenge", b"12345678"), b"x")):
        node.store.says = {scripts.ANSWER: [[1, said]]}
        answer = Deferred.fromCoroutine(node.shared.answer(b"12345678", 300))
        assert answer.result == (Turn.FIRST, b"")


def test_a_challenge_without_the_store() -> None:
    node = Node()
    node.store.says = {scripts.KEEP: [DOWN], scripts.ANSWER: [DOWN]}
    assert Deferred.fromCoroutine(node.shared.keep(b"12345678", b"attributes", 300)).result is None
    assert Deferred.fromCoroutine(node.shared.answer(b"12345678", 300)).result == (Turn.UNKNOWN, b"")


# ---- wrong passwords


def attempt(node: Node, deadline: float = 10) -> Deferred[bytes | None]:
    return Deferred.fromCoroutine(node.shared.attempt("ad_client", "alice", 3, 900, deadline))


def test_an_attempt() -> None:
    node = Node()
    node.store.says = {scripts.ATTEMPT: [[1]]}
    token = attempt(node).result
    assert isinstance(token, bytes)
    node.shared.decided("ad_client", "alice", token, 900, "wrong")
    ((keys, values),) = node.store.of(scripts.DECIDED)
    assert keys == [KEYS.name("attempts", b"ad_client", b"alice")]
    assert values == [token, 900_000, b"wrong", 60_000]


def test_too_many_wrong_ones() -> None:
    node = Node()
    node.store.says = {scripts.ATTEMPT: [[0, 0]]}
    assert attempt(node).result is None


def test_those_that_are_not_decided_yet() -> None:
    """They may turn out right: it waits for them, and not longer than its deadline."""
    node = Node()
    node.store.says = {scripts.ATTEMPT: [[0, 2], [0, 1], [1]]}
    answer = attempt(node)
    node.wait(1)
    assert isinstance(answer.result, bytes)
    node.store.says = {scripts.ATTEMPT: [[0, 1]]}
    answer = attempt(node, node.clock.seconds() + 2)
    node.wait(2)
    assert answer.result is None


def test_nobody_to_ask() -> None:
    node = Node()
    node.store.says = {scripts.ATTEMPT: [DOWN]}
    assert attempt(node).result == b""
    node.shared.decided("ad_client", "alice", b"", 900, "wrong")
    assert node.store.of(scripts.DECIDED) == []


# ---- life


def test_it_says_that_it_is_alive() -> None:
    node = Node()
    node.shared.start()
    node.wait(7)
    alive = node.store.of(scripts.ALIVE)
    assert len(alive) == 4
    assert all(said == alive[0] for said in alive)
    assert alive[0][1] == [6000]
    node.store.is_up = False
    node.wait(4)
    assert len(node.store.of(scripts.ALIVE)) == 4


def test_the_last_words_are_said_before_it_closes() -> None:
    node = Node()
    slow: Deferred[object] = Deferred()

    async def run(script: str, keys: object, values: object) -> object:
        return await slow if script == scripts.FINISH else [b"mine"]

    node.store.run = run  # type: ignore[method-assign, assignment]
    node.begin()
    node.pushes[0].callback(FactorAllow())
    closing = Deferred.fromCoroutine(node.shared.close())
    assert not node.store.closed
    slow.callback([[], b""])
    assert closing.called
    assert node.store.closed


# ---- many


def test_thousands_that_wait_are_one_question() -> None:
    """Each look asks for all of them; what is left of them is nothing."""
    TOKENS.clear()
    node, claim = Node(), other()
    node.store.says = {scripts.CLAIM: [[b"taken", claim.encode()]], scripts.JOIN: [joins]}
    answers = [node.begin(deadline=300) for _ in range(2_000)]
    before = len(node.store.asked)
    node.wait(9)
    assert len(node.store.asked) - before <= 31 + 10 * 10  # looks into the inbox, and at 200 claims at once
    seals = [
        token + b" " + KEYS.seal(b" ".join((b"verdict", token, claim.token, claim.login)), ALLOWED)
        for token in TOKENS
    ]
    node.store.says[scripts.COLLECT] = [seals, []]
    node.wait(1)
    assert all(answer.result == FactorAllow("Success", "T1") for answer in answers)
    assert node.joined == 2_000
    node.wait(1)
    assert not node.clock.getDelayedCalls()


def test_nobody_waits_longer_than_their_client() -> None:
    node, claim = Node(), other()
    node.store.says = {scripts.CLAIM: [[b"taken", claim.encode()]], scripts.JOIN: [joins]}
    answer = node.begin(deadline=5)
    node.wait(6)
    assert answer.result == Held("push_pending")
    assert not node.clock.getDelayedCalls()


# ---- what the store has missed


def test_what_it_has_missed_is_told_when_it_is_back() -> None:
    """A claim that nobody ends would keep the user from the next prompt."""
    node = Node()
    node.store.says = {scripts.CLAIM: [[b"mine"]], scripts.FINISH: [DOWN, [[], b""]]}
    node.begin()
    node.pushes[0].callback(FactorDeny("deny"))
    node.wait(10)
    node.shared.came_up()
    first, second = node.store.of(scripts.FINISH)
    assert first[1][:4] == second[1][:4]
    assert (first[1][4], second[1][4]) == (30_000, 20_000)  # what is left of the denial
    node.shared.came_up()
    assert len(node.store.of(scripts.FINISH)) == 2


def test_what_matters_no_more_is_not() -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [[b"mine"]], scripts.FINISH: [DOWN]}
    node.begin(deadline=60)
    node.pushes[0].callback(FactorAllow())
    node.wait(120)
    node.shared.came_up()
    assert len(node.store.of(scripts.FINISH)) == 1


def test_a_claim_whose_answer_was_lost_is_ended() -> None:
    node = Node()
    node.store.says = {scripts.CLAIM: [DOWN], scripts.FINISH: [[[], b""]]}
    node.begin()
    node.pushes[0].callback(FactorAllow())
    assert len(node.store.of(scripts.FINISH)) == 1
