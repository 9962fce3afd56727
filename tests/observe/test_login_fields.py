"""A login's line in the log is written another way than all others, and is no other line for that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from authproxy.observe.lines import Event, Severity, as_json, as_text
from authproxy.observe.login_fields import LoginFields
from tests.observe.test_audit import EVENT, FIELDS, MEASURED

NAMES = [
    "login",
    "server_section",
    "username",
    "decision",
    "reason",
    "cause",
    "why",
    "factor",
    "client",
    "nas_ip",
    "client_ip",
    "primary_ms",
    "cloud_ms",
    "txid",
    "detail",
]


@given(st.fixed_dictionaries(FIELDS), MEASURED, MEASURED, st.none() | st.text(max_size=30))
def test_as_every_other_line(
    texts: dict[str, str], primary: float | None, cloud: float | None, why: str | None
) -> None:
    event = EVENT._replace(**texts, primary_ms=primary, cloud_ms=cloud, why=why)
    known = {name: value for name in NAMES if (value := getattr(event, name)) is not None}
    for form in (as_text, as_json):
        lines = [form(Event(0.0, Severity.INFO, "login.decided", f)) for f in (LoginFields(event), known)]
        assert lines[0] == lines[1]
