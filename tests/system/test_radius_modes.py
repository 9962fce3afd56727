"""Challenge, concat and factor-only sections through the daemon, over the directory or over nobody."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.cloud import phone
from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    ACCESS_CHALLENGE,
    ACCESS_REJECT,
    STATE,
    Reply,
    codes,
)
from tests.system.bench.world import World
from tests.system.modes import Modes
from tests.system.parts.needs import needs

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def _modes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Modes]:
    world = Modes(tmp_path_factory.mktemp("modes"))
    world.start()
    yield world
    world.close()


@pytest.fixture
def modes(_modes: Modes) -> Modes:
    assert _modes.running.running
    return _modes


def state_of(reply: Reply | None) -> tuple[int, bytes]:
    """The State of a challenge, to answer it with."""
    assert reply is not None
    assert reply.code == ACCESS_CHALLENGE
    (state,) = reply.values(STATE)
    assert len(state) <= 253
    return STATE, state


# ---- challenge


@pytest.mark.parametrize(
    ("answer", "factor", "device"),
    [
        ("1", "push", "DPHONE"),
        ("2", "push", "DTABLET"),
        ("3", "phone", "DPHONE"),
        ("push2", "push", "DTABLET"),
        ("phone", "phone", "DPHONE"),
        (" 1 ", "push", "DPHONE"),
        ("PUSH", "push", "DPHONE"),
    ],
)
def test_password_prompt_answer(modes: Modes, answer: str, factor: str, device: str) -> None:
    user = modes.user(devices=[phone(), phone("DTABLET", "auto", "push")])
    nas = modes.nas(modes.challenge)
    asked = nas.ask(user.user, user.password)
    state = state_of(asked)
    assert asked is not None
    assert asked.message.splitlines() == [
        f"Second factor for {user.user}. Enter a passcode or choose:",
        " 1. Push to Phone DPHONE",
        " 2. Push to Phone DTABLET",
        " 3. Phone call to Phone DPHONE",
        " 4. SMS passcodes to Phone DPHONE",
        "Passcode or option (1-4): ",
    ]
    assert modes.asked(user.user) == []
    assert codes([nas.ask(user.user, answer, state)]) == [ACCESS_ACCEPT]
    (call,) = modes.asked(user.user)
    assert (call["factor"], call["device"]) == (factor, device)
    assert len(modes.binds(user.user)) == 1  # the answer is no password


def test_a_passcode_answers(modes: Modes) -> None:
    """Right once; wrong is final, and so is the same State again (R40)."""
    right, wrong = modes.canaries.passcode("passcode"), modes.canaries.passcode("wrong passcode")
    user = modes.user(passcodes={right})
    nas = modes.nas(modes.challenge)
    state = state_of(nas.ask(user.user, user.password))
    assert codes([nas.ask(user.user, wrong, state)]) == [ACCESS_REJECT]
    assert codes([nas.ask(user.user, right, state)]) == [ACCESS_REJECT]
    (event,) = modes.wait_audit(username=user.user, reason="bad_state")
    assert event["cause"] == "answered"
    again = state_of(nas.ask(user.user, user.password))
    assert codes([nas.ask(user.user, right, again)]) == [ACCESS_ACCEPT]
    assert [call["passcode"] for call in modes.asked(user.user)] == [wrong, right]


def test_a_wrong_password_prompts_nobody(modes: Modes) -> None:
    user = modes.user()
    reply = modes.nas(modes.challenge).ask(user.user, modes.canaries.new("wrong password"))
    assert codes([reply]) == [ACCESS_REJECT]
    assert modes.asked(user.user, "preauth") == []


def test_the_password_is_whole(modes: Modes) -> None:
    """1.4: a comma and a passcode behind it belong to the password here."""
    user = modes.user(modes.canaries.new("password with a comma") + ",123456")
    state_of(modes.nas(modes.challenge).ask(user.user, user.password))


def test_sms_asks_again(modes: Modes) -> None:
    """Codes are sent, and the same prompt comes back, with another State; not for ever."""
    passcode = modes.canaries.passcode("texted passcode")
    user = modes.user(passcodes={passcode})
    nas = modes.nas(modes.challenge)
    first = nas.ask(user.user, user.password)
    second = nas.ask(user.user, "sms", state_of(first))
    assert first is not None
    assert second is not None
    assert state_of(second) != state_of(first)
    assert second.message == first.message
    assert codes([nas.ask(user.user, passcode, state_of(first))]) == [ACCESS_REJECT]
    assert codes([nas.ask(user.user, passcode, state_of(second))]) == [ACCESS_ACCEPT]
    assert [call["factor"] for call in modes.asked(user.user)] == ["sms", "passcode"]
    more = nas.ask(user.user, user.password)
    for _ in range(3):
        more = nas.ask(user.user, "sms", state_of(more))
        assert more is not None
        if more.code == ACCESS_REJECT:
            break
    assert codes([more]) == [ACCESS_REJECT]


@pytest.mark.parametrize("answer", ["9", "0", "phone7", ""])
def test_answers_that_mean_nothing(modes: Modes, answer: str) -> None:
    user = modes.user()
    nas = modes.nas(modes.challenge)
    reply = nas.ask(user.user, answer, state_of(nas.ask(user.user, user.password)))
    assert codes([reply]) == [ACCESS_REJECT]
    assert modes.asked(user.user) == []


def test_a_state_is_nobody_elses(modes: Modes) -> None:
    """R39: another user's, another section's, made up, changed in any octet: never a login, never a new one."""
    user, other = modes.user(), modes.user()
    nas = modes.nas(modes.challenge)
    state = state_of(nas.ask(user.user, user.password))
    flipped = [
        (STATE, state[1][:at] + bytes((state[1][at] ^ 1,)) + state[1][at + 1 :])
        for at in range(0, len(state[1]), 7)
    ]
    strange = [(STATE, b""), (STATE, b"first"), (STATE, secrets.token_bytes(len(state[1])))]
    requests = [
        nas.login(other.user, "1", state),
        # Not even with the right password: what carries a State is an answer (R41).
        nas.login(other.user, other.password, state),
        *(nas.login(user.user, "1", made) for made in (*flipped, *strange[1:])),
        *(nas.login(user.user, user.password, made) for made in strange[1:]),
    ]
    assert set(codes(nas.exchange_all(requests))) == {ACCESS_REJECT}
    elsewhere = modes.nas(modes.other)
    assert codes([elsewhere.ask(user.user, "1", state)]) == [ACCESS_REJECT]
    assert modes.asked(user.user) == modes.asked(other.user) == []
    assert {event["reason"] for event in modes.wait_audit(3, username=user.user, decision="reject")} == {
        "bad_state"
    }
    assert codes([nas.ask(user.user, "1", state)]) == [ACCESS_ACCEPT]  # and is still its own


def test_an_answer_without_its_state(modes: Modes) -> None:
    """R41: it is a login like any other, with a wrong password."""
    user = modes.user()
    nas = modes.nas(modes.challenge)
    state_of(nas.ask(user.user, user.password))
    assert codes([nas.ask(user.user, "1")]) == [ACCESS_REJECT]
    assert [bind.result for bind in modes.binds(user.user)] == [0, 49]


def test_enrolling_is_said_where_it_is_seen(modes: Modes) -> None:
    user = modes.user(preauth="enroll", status_msg="Enroll first.")
    nas = modes.nas(modes.challenge)
    asked = nas.ask(user.user, user.password)
    assert asked is not None
    assert "Enroll" in asked.message
    assert "/portal?code=1" in asked.message
    answered = nas.ask(user.user, "done", state_of(asked))
    assert codes([answered]) == [ACCESS_REJECT]
    (event,) = modes.wait_audit(username=user.user, decision="challenge")
    assert event["reason"] == "enroll_prompt"
    quiet = modes.nas(modes.quiet).ask(user.user, user.password)
    assert codes([quiet]) == [ACCESS_REJECT]


def test_prompt_formats(modes: Modes) -> None:
    user = modes.user(devices=[phone() | {"display_name": "<b>'phone'&"}])
    html = modes.nas(modes.html).ask(user.user, user.password)
    short = modes.nas(modes.short).ask(user.user, user.password)
    assert html is not None
    assert short is not None
    assert "<br> 1. Push to &lt;b&gt;&#x27;phone&#x27;&amp;<br>" in html.message
    assert short.message == "Enter a passcode or one of push1, phone1, sms1: "


def test_253_octets(modes: Modes) -> None:
    """A menu that is too long becomes short, and what is still too long loses its list."""
    many = modes.user(devices=[phone(f"D{'X' * 60}{at}") for at in range(3)])
    crowd = modes.user(devices=[phone(f"D{at}") for at in range(30)])
    nas = modes.nas(modes.challenge)
    short = nas.ask(many.user, many.password)
    shorter = nas.ask(crowd.user, crowd.password)
    assert short is not None
    assert shorter is not None
    assert short.message.startswith("Enter a passcode or one of push1, push2, push3, phone1")
    assert shorter.message == "Enter a passcode, push, phone or sms: "
    assert codes([nas.ask(crowd.user, "push30", state_of(shorter))]) == [ACCESS_ACCEPT]
    assert modes.asked(crowd.user)[0]["device"] == "D29"


def test_no_factor_but_a_passcode(modes: Modes) -> None:
    token = {"device": "DT", "type": "token", "name": "0"}
    user = modes.user(devices=[token])
    reply = modes.nas(modes.challenge).ask(user.user, user.password)
    assert reply is not None
    assert reply.message == "Enter passcode: "


def test_bypass_needs_no_prompt(modes: Modes) -> None:
    user = modes.user(preauth="allow")
    assert codes([modes.nas(modes.challenge).ask(user.user, user.password)]) == [ACCESS_ACCEPT]


@pytest.mark.parametrize("mode", ["refused", "hang_up"])
def test_an_outage_behind_the_prompt_opens_nothing(modes: Modes, mode: str) -> None:
    """F3, in a section that fails open: a prompt has been shown, so the cloud's word is needed."""
    user = modes.user()
    nas = modes.nas(modes.safe)
    state = state_of(nas.ask(user.user, user.password))
    modes.cloud.become(mode)  # type: ignore[arg-type]
    try:
        assert codes([nas.ask(user.user, "1", state, timeout=30)]) == [ACCESS_REJECT]
    finally:
        modes.cloud.become("well")


def test_two_answers_at_once(modes: Modes) -> None:
    """One State, two different answers in flight: one of them counts."""
    codes_ = {modes.canaries.passcode("one"), modes.canaries.passcode("two")}
    user = modes.user(passcodes=set(codes_))
    nas = modes.nas(modes.challenge)
    state = state_of(nas.ask(user.user, user.password))
    replies = nas.exchange_all([nas.login(user.user, code, state) for code in codes_])
    assert sorted(map(str, codes(replies))) == [str(ACCESS_ACCEPT), str(ACCESS_REJECT)]


def test_an_answer_after_a_restart(world: World) -> None:
    """H3: the State says for itself whose it is; its key lasts in state_dir. And it is answered once all the same."""
    world.add_section("vpn", kind="radius_server_challenge")
    user = world.add_user("alice")
    world.start()
    nas = world.nas()
    state = state_of(nas.ask(user.user, user.password))
    assert world.running.stop() == 0
    world.start()
    nas = world.nas()
    assert codes([nas.ask(user.user, "1", state)]) == [ACCESS_ACCEPT]
    assert codes([nas.ask(user.user, "1", state)]) == [ACCESS_REJECT]


@pytest.mark.parametrize("crash", [False, True])
def test_an_answer_from_before_a_restart(world: World, crash: bool) -> None:
    """R40: a State that was answered is no second time, with another passcode neither."""
    wrong, right = world.canaries.passcode("wrong"), world.canaries.passcode("right")
    world.add_section("vpn", kind="radius_server_challenge")
    user = world.add_user("alice", passcodes={right})
    world.start()
    nas = world.nas()
    state = state_of(nas.ask(user.user, user.password))
    assert codes([nas.ask(user.user, wrong, state)]) == [ACCESS_REJECT]
    if crash:
        world.running.kill()
    else:
        assert world.running.stop() == 0
    world.start()
    assert codes([world.nas().ask(user.user, right, state)]) == [ACCESS_REJECT]
    (event,) = world.wait_audit(reason="bad_state")
    assert event["cause"] == "answered"


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"challenge_key": "other", "challenge_key_before": "new"}, True),
        ({"challenge_key": "other"}, False),
    ],
    ids=["the key before", "another key"],
)
def test_an_answer_at_another_node(world: World, there: dict[str, str], taken: bool) -> None:
    """H3: a node with another state folder, and as configured."""
    keys = {word: world.canaries.new(f"the {word} challenge key", 40) for word in ("new", "other")}
    world.add_section("vpn", kind="radius_server_challenge")
    user = world.add_user("alice")
    world.config["main"]["challenge_key"] = keys["new"]
    world.start()
    state = state_of(world.nas().ask(user.user, user.password))
    assert world.running.stop() == 0
    del world.config["main"]["challenge_key"]
    world.config["main"] |= {option: keys[word] for option, word in there.items()}
    world.config["main"]["state_dir"] = str(world.home / "another")
    world.start(proven=False)
    expected = ACCESS_ACCEPT if taken else ACCESS_REJECT
    assert codes([world.nas().ask(user.user, "1", state)]) == [expected]


def test_an_answer_that_comes_too_late(world: World) -> None:
    """R39: five minutes, of the wall clock, over a restart too."""
    needs("faketime", "faketime")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    world.add_section("vpn", kind="radius_server_challenge")
    world.clock_is_real = False
    user = world.add_user("alice")
    world.start()
    state = state_of(world.nas().ask(user.user, user.password))
    assert world.running.stop() == 0
    world.cloud.skew = 301.0
    world.start(
        env={"LD_PRELOAD": str(library), "FAKETIME": "+301s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        proven=False,
    )
    assert codes([world.nas().ask(user.user, "1", state)]) == [ACCESS_REJECT]
    (event,) = world.wait_audit(reason="bad_state")
    assert event["cause"] == "expired"


# ---- concat


def test_concat(modes: Modes) -> None:
    """The factor is a must, and is looked for before anybody is asked."""
    passcode = modes.canaries.passcode("passcode")
    user = modes.user(passcodes={passcode})
    nas = modes.nas(modes.concat)
    for typed in (user.password, f"{user.password},", f",{passcode}", ","):
        assert codes([nas.ask(user.user, typed)]) == [ACCESS_REJECT]
    assert modes.binds(user.user) == []
    assert codes([nas.ask(user.user, f"{user.password},{passcode}")]) == [ACCESS_ACCEPT]
    assert codes([nas.ask(user.user, f"{user.password},push")]) == [ACCESS_ACCEPT]
    assert [call["factor"] for call in modes.asked(user.user)] == ["passcode", "push"]


# ---- nobody to ask for a password


def test_factor_only(modes: Modes) -> None:
    passcode = modes.canaries.passcode("passcode")
    user = modes.user(passcodes={passcode})
    nas = modes.nas(modes.factor_only)
    typed = [passcode, passcode, "push", "phone1", "anything else", ""]
    due = [ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_ACCEPT, ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_REJECT]
    assert codes([nas.ask(user.user, each) for each in typed]) == due
    assert modes.binds(user.user) == []
    unknown = modes.user(preauth="enroll")
    assert codes([nas.ask(unknown.user, "push")]) == [ACCESS_REJECT]
    assert {event["reason"] for event in modes.wait_audit(3, username=user.user, decision="accept")} == {
        "duo_only"
    }


def test_duo_only_client(modes: Modes) -> None:
    """Any password, or a factor in its place; an outage opens nothing, there is no password behind it."""
    passcode = modes.canaries.passcode("passcode")
    user = modes.user(passcodes={passcode})
    nas = modes.nas(modes.trusting)
    assert codes([nas.ask(user.user, typed) for typed in ("whatever", passcode, "x,phone")]) == [2, 2, 2]
    assert [call["factor"] for call in modes.asked(user.user)] == ["auto", "passcode", "phone"]
    assert modes.binds(user.user) == []
