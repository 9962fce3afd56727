"""What is written down beside the main things: remembered clients, the outbox, the log of who did what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from authproxy.embedded.cloud.model import WallClock
from authproxy.embedded.cloud.store.database import Database
from authproxy.embedded.cloud.store.sealing import Seal
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_EVENTS_KEPT = 90 * 86400.0
_OUTBOX_KEPT = 3600.0  # seconds; texted codes shall not lie about


class Remembered:
    """Clients that need no factor for a while: `trusted_device_token`."""

    def __init__(self, database: Database, seal: Seal, clock: WallClock) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock

    def issue(self, txid: str, user_id: str, ikey: str, hours: float) -> Secret:
        """The token of this login: the same one however often it is asked for."""
        token = Secret.of(self._seal.sign(f"remember {txid}".encode()).hex())
        self._database.execute(
            "INSERT INTO remembered (token, user_id, ikey, expires) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            self._seal.digest("remembered", token),
            user_id,
            ikey,
            self._clock() + hours * 3600,
        )
        return token

    def knows(self, token: Secret, user_id: str, ikey: str) -> bool:
        found = self._database.value(
            "SELECT 1 FROM remembered WHERE token = ? AND user_id = ? AND ikey = ? AND expires > ?",
            self._seal.digest("remembered", token),
            user_id,
            ikey,
            self._clock(),
        )
        return found is not None

    def forget(self, user_id: str) -> None:
        self._database.execute("DELETE FROM remembered WHERE user_id = ?", user_id)

    def tidy(self) -> None:
        self._database.execute("DELETE FROM remembered WHERE expires <= ?", self._clock())


@light_dataclass(frozen=True, slots=True)
class Message:
    device_id: str
    kind: str
    message: Secret
    created: float


class Outbox:
    """Texts and calls as they were handed to the sender; sealed, for texts hold codes."""

    def __init__(self, database: Database, seal: Seal, clock: WallClock) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock

    def add(self, device_id: str, kind: str, message: Secret) -> None:
        self._database.execute(
            "INSERT INTO outbox (device_id, kind, message, created) VALUES (?, ?, ?, ?)",
            device_id,
            kind,
            self._seal.seal(message, f"outbox.message {device_id}"),
            self._clock(),
        )

    def of(self, device_id: str, most: int = 5) -> Sequence[Message]:
        """Newest first."""
        rows = self._database.rows(
            "SELECT * FROM outbox WHERE device_id = ? AND created > ? ORDER BY id DESC LIMIT ?",
            device_id,
            self._clock() - _OUTBOX_KEPT,
            most,
        )
        purpose = f"outbox.message {device_id}"
        return [
            Message(row["device_id"], row["kind"], self._seal.unseal(row["message"], purpose), row["created"])
            for row in rows
        ]

    def tidy(self) -> None:
        self._database.execute("DELETE FROM outbox WHERE created <= ?", self._clock() - _OUTBOX_KEPT)


@light_dataclass(frozen=True, slots=True)
class Event:
    at: float
    actor: str
    what: str
    details: Mapping[str, str]


class Events:
    """Who did what: enrolments, changes by administrators, fraud reports. Never a secret in the details."""

    def __init__(self, database: Database, clock: WallClock) -> None:
        self._database = database
        self._clock = clock

    def add(self, actor: str, what: str, **details: str) -> None:
        self._database.execute(
            "INSERT INTO event (at, actor, what, details) VALUES (?, ?, ?, ?)",
            self._clock(),
            actor,
            what,
            json.dumps(details),
        )

    def recent(self, most: int) -> Sequence[Event]:
        rows = self._database.rows("SELECT * FROM event ORDER BY id DESC LIMIT ?", most)
        return [Event(row["at"], row["actor"], row["what"], json.loads(row["details"])) for row in rows]

    def tidy(self) -> None:
        self._database.execute("DELETE FROM event WHERE at <= ?", self._clock() - _EVENTS_KEPT)
