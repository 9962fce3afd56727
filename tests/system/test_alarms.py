"""Alarms of the real daemon: a program and a web server get them, and no login waits for either."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authproxy.cli import main as authproxy
from tests.observe.alarms.test_webhook import Receiver
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import Login, World, wait_for

pytestmark = pytest.mark.system


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def pager(world: World, text: str = "cat >> {out}") -> Path:
    """A program that writes down what it gets. Where it does."""
    out, program = world.folder / "paged", world.folder / "page"
    program.write_text(f"#!/bin/sh\n{text.format(out=out)}\n")
    program.chmod(0o700)
    world.config["main"]["alarm_command"] = [str(program)]
    return out


def door(world: World, **options: Any) -> Login:
    """A safe section's."""
    world.add_section("door", failmode="safe", api_timeout=2, api_connect_timeout=1, **options)
    return world.add_user("alice")


def paged(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def kinds(out: Path) -> list[str]:
    return [alarm["alarm"] for alarm in paged(out)]


def test_an_outage_is_told_by_both_ways(world: World, receiver: Receiver) -> None:
    user, out = door(world), pager(world)
    token = world.canaries.new("the webhook's token")
    world.config["main"] |= {
        "alarm_webhook": f"http://127.0.0.1:{receiver.port}/{world.canaries.new('path')}",
        "alarm_webhook_allow_http": True,
        "alarm_webhook_token": token,
    }
    world.start()
    world.cloud.become("refused")
    nas = world.nas()
    for _ in range(4):
        assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    # The certificates of these worlds are good for a day.
    wait_for(lambda: {"certificate_expiring", "door_opened", "breaker_opened"} <= set(kinds(out)), 20)
    told = {alarm["alarm"]: alarm for alarm in paged(out)}
    assert told["door_opened"]["detail"]["why"] == "unreachable"
    opened = told["breaker_opened"]
    assert (opened["subject"], opened["detail"]["api_host"]) == ("door", "localhost")
    assert "ON A PASSWORD ALONE" in opened["text"]
    assert world.running.metric("authproxy_door_open", section="door") == 1
    assert world.running.metric("authproxy_alarms_total", kind="breaker_opened") == 1
    wait_for(lambda: any(b'"breaker_opened"' in got and token.encode() in got for got in receiver.got), 10)


@pytest.mark.long
def test_a_hook_that_hangs_delays_no_login_and_no_stop(world: World) -> None:
    """It is killed at its deadline; the drain doesn't wait for that."""
    user = door(world)
    pager(world, "sleep 600")
    world.start()
    nas = world.nas()
    world.cloud.become("refused")
    for _ in range(4):
        assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    world.wait_log("alarm.breaker_opened")
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    (event,) = world.wait_audit(5, username="alice", decision="accept")[4:5]
    assert event["cloud_ms"] < 1000
    began = time.monotonic()
    assert world.running.stop() == 0
    assert time.monotonic() - began < 10
    world.wait_log("alarm.given_up")


def test_a_reload_takes_other_hooks(world: World) -> None:
    user = door(world)
    world.start()
    out = pager(world)
    world.write_config()
    world.running.reload()
    world.wait_log("service.reloaded")
    # Somebody else answers for the cloud: nobody gets in, and it is told (F5).
    world.cloud.become("plain")
    assert codes([world.nas().ask(user.user, user.password)]) == [ACCESS_REJECT]
    wait_for(lambda: "tamper" in kinds(out), 20)
    assert "door_opened" not in kinds(out)


def test_a_test_alarm(world: World, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    """`authproxy alarm`, without a daemon."""

    def alarm(*words: str) -> tuple[int, str]:
        code = authproxy(["alarm", "-c", str(world.write_config()), *words])
        said = capsys.readouterr()
        assert world.canaries.find("the output", (said.out + said.err).encode()) == []
        return code, said.out + said.err

    door(world)
    assert alarm()[0] == 2
    out = pager(world)
    main = world.config["main"]
    main["alarm_webhook"] = f"http://127.0.0.1:{receiver.port}/{world.canaries.new('path')}"
    code, said = alarm()
    assert (code, "https is expected" in said) == (2, True)
    main["alarm_webhook_allow_http"] = True
    assert alarm()[0] == 0
    assert kinds(out) == ["test"]
    receiver.answer = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    code, said = alarm("--json")
    assert code == 1
    assert json.loads(said)["ways"] == {"command": "", "webhook": "127.0.0.1: answered 403"}
