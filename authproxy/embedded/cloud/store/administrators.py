"""Administrators of the service: a password, an authenticator app, sessions that end."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence

from authproxy.embedded.cloud.model import Otp, WallClock
from authproxy.embedded.cloud.otp import OtpSecret, matching_step, new_otp_secret
from authproxy.embedded.cloud.store.applications import NameTaken
from authproxy.embedded.cloud.store.database import Database
from authproxy.embedded.cloud.store.sealing import Seal
from authproxy.secret import Secret
from authproxy.values import light_dataclass

LEAST_PASSWORD = 12  # characters
_FAILURES = 5
_LOCKOUT = 300.0
_IDLE = 1800.0
_LONGEST = 8 * 3600.0
_SALT_OCTETS = 16
# RFC 7914: 16 MiB and some tens of milliseconds for one guess.
_SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}


@light_dataclass(frozen=True, slots=True)
class Session:
    name: str
    token: Secret


def hash_password(password: Secret) -> bytes:
    """Slow on purpose: don't call it in the event loop."""
    salt = os.urandom(_SALT_OCTETS)
    return salt + hashlib.scrypt(password.reveal(), salt=salt, **_SCRYPT)


def password_matches(kept: bytes, typed: Secret) -> bool:
    """Slow on purpose: don't call it in the event loop."""
    salt, digest = kept[:_SALT_OCTETS], kept[_SALT_OCTETS:]
    return hmac.compare_digest(digest, hashlib.scrypt(typed.reveal(), salt=salt, **_SCRYPT))


class Administrators:
    def __init__(self, database: Database, seal: Seal, clock: WallClock) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock
        # A name that nobody has is checked against this, so that the answer takes as long.
        self._nobody = os.urandom(_SALT_OCTETS + 64)

    def add(self, name: str, password: Secret) -> Secret:
        """Returns the secret for the authenticator app, to be shown once. Raises NameTaken."""
        otp = new_otp_secret()
        with self._database.change():
            if self._database.value("SELECT 1 FROM administrator WHERE name = ?", name):
                raise NameTaken(name)
            self._database.execute(
                "INSERT INTO administrator (name, password, otp_secret, created) VALUES (?, ?, ?, ?)",
                name,
                hash_password(password),
                self._seal.seal(otp, _purpose(name)),
                self._clock(),
            )
        return otp

    def list(self) -> Sequence[str]:
        return [row["name"] for row in self._database.rows("SELECT name FROM administrator ORDER BY name")]

    def remove(self, name: str) -> bool:
        return bool(self._database.execute("DELETE FROM administrator WHERE name = ?", name))

    # ---- logging in: the password is compared in between, elsewhere

    def password_of(self, name: str) -> bytes:
        """The hash to compare with; for an unknown or locked-out name, one that nothing matches."""
        kept = self._database.value(
            "SELECT password FROM administrator WHERE name = ? AND locked_until <= ?", name, self._clock()
        )
        return self._nobody if kept is None else bytes(kept)

    def log_in(self, name: str, *, right_password: bool, code: Secret) -> Session | None:
        """A session, for both factors. Each wrong one counts as a failure, and the caller isn't told which it was."""
        row = self._database.row(
            "SELECT * FROM administrator WHERE name = ? AND locked_until <= ?", name, self._clock()
        )
        if row is None:
            return None
        secret = self._seal.unseal(row["otp_secret"], _purpose(name))
        step = matching_step(OtpSecret(name, Otp.TOTP, secret, 6, row["otp_next"]), code, self._clock())
        if not right_password or step is None:
            self._failed(name)
            return None
        used = self._database.execute(
            "UPDATE administrator SET otp_next = ?, failures = 0 WHERE name = ? AND otp_next <= ?",
            step + 1,
            name,
            step,
        )
        return self._begin(name) if used else None

    def _failed(self, name: str) -> None:
        with self._database.change():
            self._database.execute("UPDATE administrator SET failures = failures + 1 WHERE name = ?", name)
            self._database.execute(
                "UPDATE administrator SET failures = 0, locked_until = ? WHERE name = ? AND failures >= ?",
                self._clock() + _LOCKOUT,
                name,
                _FAILURES,
            )

    # ---- sessions

    def _begin(self, name: str) -> Session:
        token, now = Secret.of(secrets.token_urlsafe(32)), self._clock()
        self._database.execute(
            "INSERT INTO session (token, name, created, seen) VALUES (?, ?, ?, ?)",
            self._digest(token),
            name,
            now,
            now,
        )
        return Session(name, token)

    def session(self, token: Secret) -> Session | None:
        """The session, while it is used, for at most eight hours."""
        now = self._clock()
        name = self._database.value(
            "UPDATE session SET seen = ? WHERE token = ? AND seen > ? AND created > ? RETURNING name",
            now,
            self._digest(token),
            now - _IDLE,
            now - _LONGEST,
        )
        return None if name is None else Session(name, token)

    def end(self, token: Secret) -> None:
        self._database.execute("DELETE FROM session WHERE token = ?", self._digest(token))

    def tidy(self) -> None:
        now = self._clock()
        self._database.execute(
            "DELETE FROM session WHERE seen <= ? OR created <= ?", now - _IDLE, now - _LONGEST
        )

    def _digest(self, token: Secret) -> bytes:
        return self._seal.digest("session", token)


def _purpose(name: str) -> str:
    return f"administrator.otp_secret {name}"
