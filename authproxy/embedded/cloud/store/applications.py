"""Applications: who may call the API, with which key, under which policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from authproxy.embedded.cloud.model import (
    Application,
    Factor,
    NewUsers,
    Policy,
    WallClock,
    new_id,
    new_secret_key,
)
from authproxy.embedded.cloud.store.database import Database, Row
from authproxy.embedded.cloud.store.sealing import Seal
from authproxy.secret import Secret
from authproxy.values import light_dataclass


class NameTaken(Exception):
    """The name is taken."""


@light_dataclass(frozen=True, slots=True)
class Credentials:
    """An application and its secret key, which is shown once and needed at every call."""

    application: Application
    skey: Secret


class Applications:
    def __init__(self, database: Database, seal: Seal, clock: WallClock) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock

    def add(self, name: str, policy: Policy) -> Credentials:
        """Raises NameTaken."""
        ikey, skey = new_id("DI"), new_secret_key()
        now = self._clock()
        with self._database.change():
            if self._database.value("SELECT 1 FROM application WHERE name = ?", name):
                raise NameTaken(name)
            self._database.execute(
                "INSERT INTO application (ikey, name, skey, policy, created) VALUES (?, ?, ?, ?, ?)",
                ikey,
                name,
                self._seal.seal(skey, _purpose(ikey)),
                _policy_text(policy),
                now,
            )
        return Credentials(Application(ikey, name, policy, now), skey)

    def list(self) -> Sequence[Application]:
        return [
            _application(row) for row in self._database.rows("SELECT * FROM application ORDER BY created")
        ]

    def find(self, ikey_or_name: str) -> Application | None:
        # Somebody may have named one after another's key: the key counts.
        row = self._database.row(
            "SELECT * FROM application WHERE ikey = ? OR name = ? ORDER BY ikey = ? DESC",
            ikey_or_name,
            ikey_or_name,
            ikey_or_name,
        )
        return None if row is None else _application(row)

    def credentials(self, ikey: str) -> Credentials | None:
        """Raises Unsealable if the key file isn't the one with which the database was made."""
        row = self._database.row("SELECT * FROM application WHERE ikey = ?", ikey)
        if row is None:
            return None
        return Credentials(_application(row), self._seal.unseal(row["skey"], _purpose(ikey)))

    def change_policy(self, ikey: str, policy: Policy) -> bool:
        text = _policy_text(policy)
        return bool(self._database.execute("UPDATE application SET policy = ? WHERE ikey = ?", text, ikey))

    def remove(self, ikey: str) -> bool:
        return bool(self._database.execute("DELETE FROM application WHERE ikey = ?", ikey))


def _purpose(ikey: str) -> str:
    return f"application.skey {ikey}"


def _application(row: Row) -> Application:
    return Application(row["ikey"], row["name"], _policy(row["policy"]), row["created"])


def _policy_text(policy: Policy) -> str:
    return json.dumps(
        {
            "new_users": policy.new_users,
            "factors": sorted(policy.factors),
            "number_matching": policy.number_matching,
            "remember_hours": policy.remember_hours,
        }
    )


@lru_cache(256)
def _policy(text: str) -> Policy:
    kept = json.loads(text)
    return Policy(
        new_users=NewUsers(kept["new_users"]),
        factors=frozenset(map(Factor, kept["factors"])),
        number_matching=kept["number_matching"],
        remember_hours=kept["remember_hours"],
    )
