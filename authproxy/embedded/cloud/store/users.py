"""Users and their lockout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from authproxy.embedded.cloud.model import Factor, NewUsers, User, UserPolicy, UserStatus, WallClock, new_id
from authproxy.embedded.cloud.store.applications import NameTaken
from authproxy.embedded.cloud.store.database import Database, Row


class Users:
    """`username` is always the canonical name: whoever calls has read it once."""

    def __init__(self, database: Database, clock: WallClock) -> None:
        self._database = database
        self._clock = clock

    def add(self, username: str, status: UserStatus = UserStatus.ACTIVE) -> User:
        """Raises NameTaken."""
        user_id, now = new_id("DU"), self._clock()
        with self._database.change():
            if self.named(username) is not None:
                raise NameTaken(username)
            self._database.execute(
                "INSERT INTO user (user_id, username, status, created) VALUES (?, ?, ?, ?)",
                user_id,
                username,
                status.value,
                now,
            )
        return User(user_id, username, status, 0, 0.0, now)

    def list(self) -> Sequence[User]:
        return [_user(row) for row in self._database.rows("SELECT * FROM user ORDER BY username")]

    def any(self) -> bool:
        """Whether there is a user at all."""
        return self._database.row("SELECT 1 FROM user") is not None

    def named(self, username: str) -> User | None:
        return self._one("SELECT * FROM user WHERE username = ?", username)

    def find(self, user_id: str) -> User | None:
        return self._one("SELECT * FROM user WHERE user_id = ?", user_id)

    def remove(self, user_id: str) -> bool:
        return bool(self._database.execute("DELETE FROM user WHERE user_id = ?", user_id))

    def set_status(self, user_id: str, status: UserStatus) -> bool:
        return bool(
            self._database.execute("UPDATE user SET status = ? WHERE user_id = ?", status.value, user_id)
        )

    def set_policy(self, user_id: str, policy: UserPolicy) -> bool:
        text = json.dumps(
            {
                "factors": None if policy.factors is None else sorted(policy.factors),
                "without_device": policy.without_device,
            }
        )
        return bool(self._database.execute("UPDATE user SET policy = ? WHERE user_id = ?", text, user_id))

    def failed(self, user_id: str, most: int, lock_seconds: float) -> bool:
        """Count a wrong passcode. True when it was one too many: the user is locked out from now on."""
        with self._database.change():
            self._database.execute("UPDATE user SET failures = failures + 1 WHERE user_id = ?", user_id)
            failures = int(self._database.value("SELECT failures FROM user WHERE user_id = ?", user_id) or 0)
            if failures < most:
                return False
            until = self._clock() + lock_seconds
            self._database.execute(
                "UPDATE user SET failures = 0, locked_until = ? WHERE user_id = ?", until, user_id
            )
        return True

    def succeeded(self, user_id: str) -> None:
        self._database.execute("UPDATE user SET failures = 0 WHERE user_id = ? AND failures > 0", user_id)

    def unlock(self, user_id: str) -> bool:
        changed = self._database.execute(
            "UPDATE user SET failures = 0, locked_until = 0 WHERE user_id = ?", user_id
        )
        return bool(changed)

    def _one(self, sql: str, *parameters: object) -> User | None:
        row = self._database.row(sql, *parameters)
        return None if row is None else _user(row)


def _user(row: Row) -> User:
    return User(
        row["user_id"],
        row["username"],
        UserStatus(row["status"]),
        row["failures"],
        row["locked_until"],
        row["created"],
        _policy(row["policy"]),
    )


@lru_cache(256)
def _policy(text: str) -> UserPolicy:
    kept = json.loads(text)
    factors, without_device = kept.get("factors"), kept.get("without_device")
    return UserPolicy(
        None if factors is None else frozenset(map(Factor, factors)),
        None if without_device is None else NewUsers(without_device),
    )
