"""Reads the proxy's audit file (authevents.log) as it grows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Event = Mapping[str, Any]


class EventReader:
    """Returns each line once; an incomplete line is left for later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def new(self) -> Sequence[Event]:
        """The decisions since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                octets = file.read()
        except FileNotFoundError:
            return []
        whole = octets[: octets.rfind(b"\n") + 1]
        self._at += len(whole)
        return [event for line in whole.splitlines() if (event := _decision(line)) is not None]


def _decision(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and event.get("decision") else None


def in_words(event: Event) -> str:
    """One line for people."""
    factor = f" by {event['factor']}" if event.get("factor") else ""
    cause = f" ({event['cause']})" if event.get("cause") else ""
    open_door = "  OPEN DOOR" if event.get("fail_open") else ""
    who = event.get("username") or "-"
    section = event.get("server_section") or "-"
    return f"{event['decision']:<9} {event.get('reason', '')}{cause}  {who}{factor} at {section}{open_door}"
