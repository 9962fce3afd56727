"""Devices: phones with a page, numbers to text and call, authenticator apps, hardware tokens."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from authproxy.embedded.cloud.model import Device, DeviceKind, Otp, WallClock, new_id
from authproxy.embedded.cloud.otp import OtpSecret
from authproxy.embedded.cloud.store.database import Database, Row
from authproxy.embedded.cloud.store.sealing import Seal
from authproxy.secret import Secret

_TOKEN_OCTETS = 32


class Devices:
    def __init__(self, database: Database, seal: Seal, clock: WallClock) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock

    def add(
        self,
        user_id: str,
        kind: DeviceKind,
        *,
        name: str = "",
        number: str = "",
        otp: Otp | None = None,
        otp_secret: Secret | None = None,
        otp_digits: int = 6,
        confirmed: bool = True,
    ) -> Device:
        device_id, now = new_id("DP" if kind is DeviceKind.PHONE else "DH"), self._clock()
        sealed = None if otp_secret is None else self._seal.seal(otp_secret, _purpose(device_id))
        self._database.execute(
            "INSERT INTO device (device_id, user_id, kind, name, number, otp, otp_secret, otp_digits, confirmed,"
            " created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            device_id,
            user_id,
            kind.value,
            name,
            number,
            otp,
            sealed,
            otp_digits,
            int(confirmed),
            now,
        )
        return Device(device_id, user_id, kind, name, number, False, otp, otp_digits, confirmed, now, 0.0)

    def of(self, user_id: str) -> Sequence[Device]:
        """In the order they were added, which is the order that `push2` counts by."""
        rows = self._database.rows("SELECT * FROM device WHERE user_id = ? ORDER BY created, rowid", user_id)
        return [_device(row) for row in rows]

    def find(self, device_id: str) -> Device | None:
        row = self._database.row("SELECT * FROM device WHERE device_id = ?", device_id)
        return None if row is None else _device(row)

    def remove(self, device_id: str) -> bool:
        return bool(self._database.execute("DELETE FROM device WHERE device_id = ?", device_id))

    def confirm(self, device_id: str) -> None:
        self._database.execute("UPDATE device SET confirmed = 1 WHERE device_id = ?", device_id)

    # ---- the phone page

    def give_page(self, device_id: str) -> Secret:
        """A new secret for the browser that is this phone from now on; the one before is void."""
        token = Secret.of(secrets.token_urlsafe(_TOKEN_OCTETS))
        digest = self._seal.digest("device.page", token)
        self._database.execute(
            "UPDATE device SET page = ?, seen = ? WHERE device_id = ?", digest, self._clock(), device_id
        )
        return token

    def take_page(self, device_id: str) -> bool:
        return bool(self._database.execute("UPDATE device SET page = NULL WHERE device_id = ?", device_id))

    def by_pages(self, tokens: Iterable[Secret]) -> Sequence[Device]:
        """The devices these secrets belong to; unknown ones are left out."""
        found = []
        for token in tokens:
            digest = self._seal.digest("device.page", token)
            row = self._database.row("SELECT * FROM device WHERE page = ?", digest)
            if row is not None:
                found.append(_device(row))
        return found

    def saw(self, device_id: str) -> None:
        self._database.execute("UPDATE device SET seen = ? WHERE device_id = ?", self._clock(), device_id)

    # ---- one-time passwords

    def otp_secrets(self, user_id: str) -> Sequence[OtpSecret]:
        """Of the user's confirmed devices."""
        rows = self._database.rows(
            "SELECT * FROM device WHERE user_id = ? AND otp IS NOT NULL AND confirmed ORDER BY created",
            user_id,
        )
        return [self._otp(row) for row in rows]

    def otp_secret(self, device_id: str) -> OtpSecret | None:
        row = self._database.row("SELECT * FROM device WHERE device_id = ? AND otp IS NOT NULL", device_id)
        return None if row is None else self._otp(row)

    def use_up(self, device_id: str, step: int) -> bool:
        """Steps and counters up to this one are spent. False when this one already was: a replay."""
        changed = self._database.execute(
            "UPDATE device SET otp_next = ? WHERE device_id = ? AND otp_next <= ?", step + 1, device_id, step
        )
        return bool(changed)

    def _otp(self, row: Row) -> OtpSecret:
        secret = self._seal.unseal(row["otp_secret"], _purpose(row["device_id"]))
        return OtpSecret(row["device_id"], Otp(row["otp"]), secret, row["otp_digits"], row["otp_next"])


def _purpose(device_id: str) -> str:
    return f"device.otp_secret {device_id}"


def _device(row: Row) -> Device:
    return Device(
        device_id=row["device_id"],
        user_id=row["user_id"],
        kind=DeviceKind(row["kind"]),
        name=row["name"],
        number=row["number"],
        has_page=row["page"] is not None,
        otp=None if row["otp"] is None else Otp(row["otp"]),
        otp_digits=row["otp_digits"],
        confirmed=bool(row["confirmed"]),
        created=row["created"],
        seen=row["seen"],
    )
