"""Codes that work once: bypass codes, texted codes, and the links that make a browser a phone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from enum import StrEnum

from authproxy.embedded.cloud.model import WallClock
from authproxy.embedded.cloud.store.database import Database
from authproxy.embedded.cloud.store.sealing import Seal
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_BYPASS_DIGITS = 9
_TEXTED_DIGITS = 7


class CodeKind(StrEnum):
    BYPASS = "bypass"
    SMS = "sms"


class Codes:
    """Bypass and texted codes: only keyed digests are kept."""

    def __init__(self, database: Database, seal: Seal, clock: WallClock) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock

    def bypass(self, user_id: str, count: int, life: float) -> Sequence[Secret]:
        """New bypass codes, which replace the user's old ones; `life` in seconds."""
        with self._database.change():
            self._database.execute("DELETE FROM code WHERE user_id = ? AND kind = 'bypass'", user_id)
            return [self._add(user_id, CodeKind.BYPASS, None, _BYPASS_DIGITS, "", life) for _ in range(count)]

    def has_bypass(self, user_id: str) -> bool:
        found = self._database.value(
            "SELECT 1 FROM code WHERE user_id = ? AND kind = 'bypass' AND expires > ?", user_id, self._clock()
        )
        return found is not None

    def texted(self, user_id: str, device_id: str, count: int, life: float) -> Sequence[Secret]:
        """A new batch for a phone, which replaces its old one. Each begins with its own digit: the hint."""
        with self._database.change():
            self._database.execute("DELETE FROM code WHERE device_id = ? AND kind = 'sms'", device_id)
            return [
                self._add(user_id, CodeKind.SMS, device_id, _TEXTED_DIGITS, str(first), life)
                for first in range(1, count + 1)
            ]

    def next_hint(self, device_id: str) -> str:
        """The first digit of the next texted code; '' when there is none."""
        found = self._database.value(
            "SELECT MIN(hint) FROM code WHERE device_id = ? AND kind = 'sms' AND expires > ?",
            device_id,
            self._clock(),
        )
        return found or ""

    def spend(self, user_id: str, code: Secret) -> CodeKind | None:
        """What kind of code this was; it is none any more. None: it never was one, or its time is over."""
        digest = self._seal.digest(f"code {user_id}", code)
        row = self._database.row(
            "DELETE FROM code WHERE user_id = ? AND digest = ? RETURNING kind, expires", user_id, digest
        )
        if row is None or row["expires"] <= self._clock():
            return None
        return CodeKind(row["kind"])

    def _add(
        self, user_id: str, kind: CodeKind, device_id: str | None, digits: int, first: str, life: float
    ) -> Secret:
        now = self._clock()
        while True:
            rest = digits - len(first)
            code = Secret.of(first + "".join(secrets.choice("0123456789") for _ in range(rest)))
            digest = self._seal.digest(f"code {user_id}", code)
            added = self._database.execute(
                "INSERT INTO code (user_id, digest, kind, device_id, hint, expires, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                user_id,
                digest,
                kind.value,
                device_id,
                first,
                now + life,
                now,
            )
            if added:
                return code


class ActivationState(StrEnum):
    WAITING = "waiting"
    SUCCESS = "success"
    INVALID = "invalid"


@light_dataclass(frozen=True, slots=True)
class Activation:
    user_id: str
    device_id: str | None  # the phone that the browser becomes; None: a new one
    expires: float
    state: ActivationState


class Activations:
    """Links that make a browser somebody's phone; each works once."""

    def __init__(self, database: Database, seal: Seal, clock: WallClock) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock

    def add(self, user_id: str, device_id: str | None, life: float) -> Secret:
        code = Secret.of(secrets.token_urlsafe(15))
        self._database.execute(
            "INSERT INTO activation (code, user_id, device_id, expires) VALUES (?, ?, ?, ?)",
            self._digest(code),
            user_id,
            device_id,
            self._clock() + life,
        )
        return code

    def find(self, code: Secret) -> Activation | None:
        row = self._database.row("SELECT * FROM activation WHERE code = ?", self._digest(code))
        if row is None:
            return None
        if row["used"] is not None:
            state = ActivationState.SUCCESS
        elif row["expires"] <= self._clock():
            state = ActivationState.INVALID
        else:
            state = ActivationState.WAITING
        return Activation(row["user_id"], row["device_id"], row["expires"], state)

    def spend(self, code: Secret, device_id: str) -> bool:
        """True for the one who used it first, in time."""
        now = self._clock()
        changed = self._database.execute(
            "UPDATE activation SET used = ?, device_id = ? WHERE code = ? AND used IS NULL AND expires > ?",
            now,
            device_id,
            self._digest(code),
            now,
        )
        return bool(changed)

    def record(self, code: Secret, user_id: str, device_id: str, expires: float) -> bool:
        """A link that was signed, not stored, has been used; False when it had been before."""
        added = self._database.execute(
            "INSERT INTO activation (code, user_id, device_id, expires, used) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            self._digest(code),
            user_id,
            device_id,
            expires,
            self._clock(),
        )
        return bool(added)

    def _digest(self, code: Secret) -> bytes:
        return self._seal.digest("activation", code)
