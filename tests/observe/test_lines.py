"""S2: whatever a peer sends, one event is one line, and no value leaves its place."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authproxy.observe.lines import MAX_VALUE, Event, Severity, as_json, as_text, timestamp
from authproxy.pipeline.decision import Reason
from authproxy.secret import Secret

AT = 1_738_324_800.000_25
VALUE = r'"(?:[^"\\]|\\.)*"|[^ "]+'
LINE = re.compile(rf"(\S+) (\S+) (\S+)((?: [a-z_]+=(?:{VALUE}))*)")


def event(**fields: object) -> Event:
    return Event(AT, Severity.WARN, "radius.discarded", fields)


def read_text(line: str) -> dict[str, str]:
    """A reader of the text form: what stands behind `=` is bare, or a JSON string."""
    matched = LINE.fullmatch(line)
    assert matched, line
    pairs = re.findall(rf" ([a-z_]+)=({VALUE})", matched[4])
    return {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}


def test_text_form() -> None:
    line = as_text(
        event(cause="code", source="192.0.2.1", count=3, ms=1.5, late=False, user=None, why="not it")
    )
    assert line == (
        "2025-01-31T12:00:00.000250Z warn radius.discarded cause=code source=192.0.2.1 count=3 ms=1.5 late=false "
        'user=null why="not it"'
    )


def test_json_form() -> None:
    line = as_json(event(cause=Reason.FRAUD, count=3, late=True, user=None, ratio=float("inf"), event="x"))
    assert json.loads(line) == {
        "timestamp": "2025-01-31T12:00:00.000250Z",
        "level": "warn",
        "event": "radius.discarded",
        "cause": "fraud",
        "count": 3,
        "late": True,
        "user": None,
        "ratio": "inf",
        "event_": "x",
    }


FORGERIES = [
    "alice\n2025-01-31T12:00:00Z info login.decided decision=accept",
    "\x1b[2K\x1b[1Ainfo login.decided",
    'alice" decision="accept',
    "alice decision=accept",
    "\u202eecila\u2069",
    "\u2028\u0085\x7f\0\t",
    "\\n\\u000a",
    "\ud800",
    "",
]


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_line_stays_a_value(name: str) -> None:
    for line in (as_text(event(user=name)), as_json(event(user=name))):
        assert line.isprintable()
    assert read_text(as_text(event(user=name))) == {"user": name}
    assert json.loads(as_json(event(user=name)))["user"] == name


@given(st.text())
@example("ä")
def test_every_text_comes_back(text: str) -> None:
    assert read_text(as_text(event(user=text))) == {"user": text}
    assert json.loads(as_json(event(user=text)))["user"] == text
    assert as_text(event(user=text)).isprintable()
    assert as_json(event(user=text)).isprintable()


def test_letters_stay_readable() -> None:
    assert "user=müller" in as_text(event(user="müller"))
    assert 'user="jörg müller"' in as_text(event(user="jörg müller"))
    assert '"müller"' in as_json(event(user="müller"))


def test_a_value_has_an_end() -> None:
    assert len(as_text(event(user="x" * 10**6))) < MAX_VALUE + 200
    assert len(as_json(event(user=b"\xff" * 10**6))) < 2 * MAX_VALUE + 200


def test_octets_and_secrets() -> None:
    assert "station=00-11" in as_text(event(station=b"00-11"))
    assert read_text(as_text(event(station=b"\xff\n"))) == {"station": "\\xff\n"}
    assert "hunter2" not in as_text(event(password=Secret(b"hunter2")))
    assert "hunter2" not in as_json(event(password=Secret(b"hunter2")))


def test_time_stamps() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
    assert timestamp(1_738_324_800.999_999_5) == "2025-01-31T12:00:00.999999Z"
