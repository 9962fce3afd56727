"""Logins: each request for a factor, waiting or decided. A decision is made once, in one statement."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence

from authproxy.embedded.cloud.model import Factor, Login, Result, Status, WallClock
from authproxy.embedded.cloud.store.database import Database, Row
from authproxy.values import light_dataclass

_KEPT = 30 * 86400.0  # seconds that a decided login stays for the log


@light_dataclass(frozen=True, slots=True)
class LoginLine:
    """A login as a log shows it, with the names its ids had."""

    login: Login
    username: str
    application: str


class Logins:
    def __init__(self, database: Database, clock: WallClock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        *,
        ikey: str,
        user_id: str,
        device_id: str | None,
        factor: Factor,
        result: Result,
        status: Status,
        details: Mapping[str, str],
        life: float = 0.0,
        number: str = "",
        txid: str | None = None,
    ) -> Login:
        """One that waits for `life` seconds, or one that is decided already."""
        now = self._clock()
        login = Login(
            txid or str(uuid.uuid4()),
            ikey,
            user_id,
            device_id,
            factor,
            result,
            status,
            number,
            details,
            now,
            now + life,
        )
        self._database.execute(
            "INSERT INTO login (txid, ikey, user_id, device_id, factor, result, status, number, details, created,"
            " expires, decided) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            login.txid,
            ikey,
            user_id,
            device_id,
            factor.value,
            result.value,
            status.value,
            number,
            json.dumps(dict(details)),
            now,
            login.expires,
            None if result is Result.WAITING else now,
        )
        return login

    def find(self, txid: str) -> Login | None:
        row = self._database.row("SELECT * FROM login WHERE txid = ?", txid)
        return None if row is None else _login(row)

    def move(self, txid: str, status: Status) -> bool:
        """To another status of waiting: a call that was answered."""
        changed = self._database.execute(
            "UPDATE login SET status = ? WHERE txid = ? AND result = 'waiting' AND expires > ?",
            status.value,
            txid,
            self._clock(),
        )
        return bool(changed)

    def decide(self, txid: str, result: Result, status: Status) -> bool:
        """False when it was decided before, or its time is over: too late is no."""
        now = self._clock()
        changed = self._database.execute(
            "UPDATE login SET result = ?, status = ?, decided = ?"
            " WHERE txid = ? AND result = 'waiting' AND expires > ?",
            result.value,
            status.value,
            now,
            txid,
            now,
        )
        return bool(changed)

    def waiting_of(self, device_ids: Iterable[str]) -> Sequence[LoginLine]:
        """What waits at these devices, oldest first."""
        ids = list(device_ids)
        return self._lines(
            f"result = 'waiting' AND expires > ? AND device_id IN ({', '.join('?' * len(ids))})"
            " ORDER BY login.created",
            self._clock(),
            *ids,
        )

    def waiting(self) -> Sequence[LoginLine]:
        return self._lines("result = 'waiting' AND expires > ? ORDER BY login.created", self._clock())

    def recent(self, most: int, user_id: str | None = None) -> Sequence[LoginLine]:
        if user_id is None:
            return self._lines("1 ORDER BY login.created DESC LIMIT ?", most)
        return self._lines("login.user_id = ? ORDER BY login.created DESC LIMIT ?", user_id, most)

    def count_waiting(self, user_id: str) -> int:
        return int(
            self._database.value(
                "SELECT COUNT(*) FROM login WHERE user_id = ? AND result = 'waiting' AND expires > ?",
                user_id,
                self._clock(),
            )
        )

    def count_since(self, user_id: str, since: float) -> int:
        return int(
            self._database.value(
                "SELECT COUNT(*) FROM login WHERE user_id = ? AND created > ?", user_id, since
            )
        )

    def tidy(self) -> None:
        """Write down what ran out; forget what is older than the log is kept."""
        now = self._clock()
        self._database.execute(
            "UPDATE login SET result = 'deny', status = 'timeout', decided = expires"
            " WHERE result = 'waiting' AND expires <= ?",
            now,
        )
        self._database.execute("DELETE FROM login WHERE created < ?", now - _KEPT)

    def _lines(self, where: str, *parameters: object) -> Sequence[LoginLine]:
        rows = self._database.rows(
            "SELECT login.*, user.username, application.name AS application FROM login"  # noqa: S608
            " JOIN user USING (user_id) LEFT JOIN application USING (ikey) WHERE " + where,
            *parameters,
        )
        return [LoginLine(_login(row), row["username"], row["application"] or "") for row in rows]


def _login(row: Row) -> Login:
    return Login(
        txid=row["txid"],
        ikey=row["ikey"],
        user_id=row["user_id"],
        device_id=row["device_id"],
        factor=Factor(row["factor"]),
        result=Result(row["result"]),
        status=Status(row["status"]),
        number=row["number"],
        details=json.loads(row["details"]),
        created=row["created"],
        expires=row["expires"],
    )
