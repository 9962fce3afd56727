"""What the tour calls a difference: it must see each, or it proves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as imported

from authproxy.cli.demo.events import EventReader, in_words
from authproxy.cli.demo.nas import Answer, Nas
from authproxy.cli.demo.tour import Step, _differences
from authproxy.embedded.ports import bind, number_of
from authproxy.secret import Secret


async def nothing() -> Answer:
    return Answer(2, "", 0.0)


STEP = Step("an outage", ("accept", "fail_open"), nothing, fail_open=True)
RIGHT = {"decision": "accept", "reason": "fail_open", "fail_open": True}


def test_what_is_right_differs_in_nothing() -> None:
    assert _differences(STEP, Answer(2, "", 0.0), [RIGHT]) == []


@pytest.mark.parametrize(
    ("code", "events"),
    [
        (3, [RIGHT]),
        (None, [RIGHT]),
        (2, []),
        (2, [RIGHT, RIGHT]),
        (2, [RIGHT | {"reason": "both_factors"}]),
        (2, [RIGHT | {"decision": "reject"}]),
        (2, [RIGHT | {"fail_open": False}]),
        (2, [{"decision": "accept", "reason": "fail_open"}]),
    ],
)
def test_each_difference_is_seen(code: int | None, events: list[dict[str, Any]]) -> None:
    assert _differences(STEP, Answer(code, "", 0.0), events)


def test_events_are_read_once_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "authevents.log"
    reader = EventReader(file)
    assert reader.new() == []
    lines = [json.dumps(event) for event in (RIGHT, {"auth_stage": "Primary"}, RIGHT | {"reason": "x"})]
    whole = "\n".join([*lines, "not json", "[]", ""])
    file.write_text(whole + '{"decision": "acc')
    assert [event["reason"] for event in reader.new()] == ["fail_open", "x"]
    assert reader.new() == []
    with file.open("a") as more:
        more.write('ept", "reason": "late"}\n')
    assert [event["reason"] for event in reader.new()] == ["late"]


def test_an_open_door_is_loud() -> None:
    assert "OPEN DOOR" in in_words(RIGHT)
    assert "OPEN DOOR" not in in_words({"decision": "accept", "reason": "both_factors", "fail_open": False})


def test_nobody_answers(on_reactor: Any) -> None:
    bound = bind("127.0.0.1", 0)  # a TCP port's number is most likely no UDP port's
    nas = Nas(imported, Secret(b"0123456789abcdef"))
    answer = on_reactor(nas.login, number_of(bound), "alice", "x", 0.2)
    bound.close()
    assert (answer.code, answer.decision) == (None, "no answer")
