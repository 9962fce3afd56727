"""What administrators see: users, devices, applications, the log, waiting logins."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from authproxy.embedded.cloud.changes import ANY, Changes
from authproxy.embedded.cloud.model import (
    Factor,
    NewUsers,
    Policy,
    User,
    UserStatus,
    WallClock,
)
from authproxy.embedded.cloud.pages.browser import Templates, plain, see_other
from authproxy.embedded.cloud.store.logins import LoginLine
from authproxy.embedded.cloud.store.store import Store
from authproxy.embedded.cloud.web import Answer, Call, Reply, Stream

_SHOWN = 50
_HEARTBEAT = 15.0
SAID = {
    "done": "Done.",
    "stale": "That page was out of date. Try again.",
    "taken": "That name is taken.",
    "name": "That name can’t be used.",
    "gone": "It doesn’t exist any more.",
}


def shared_values(call: Call, admin: str, word: str) -> Mapping[str, str]:
    """The values that every page of the console needs; `word` goes into its forms."""
    said = SAID.get(call.parameters().get("said", ""), "")
    return {"admin": admin, "word": word, "said": said, "path": call.path}


class Console:
    """The caller has proved to be an administrator."""

    def __init__(
        self,
        *,
        store: Store,
        changes: Changes,
        templates: Templates,
        clock: WallClock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._templates = templates
        self._clock = clock

    # ---- pages

    def show(self, call: Call, admin: str, word: str) -> Answer:  # noqa: PLR0911 - a page each
        shared = shared_values(call, admin, word)
        match call.path.removeprefix("/admin").strip("/").split("/"):
            case [""]:
                return self._overview(shared)
            case ["events"]:
                return Stream(self._news())
            case ["users"]:
                return self._users(shared)
            case ["user", user_id]:
                return self.user_page(user_id, shared)
            case ["applications"]:
                return self.applications_page(shared)
            case ["log"]:
                return self._log(shared)
            case _:
                return plain(404, "There is no such page.")

    def _overview(self, shared: Mapping[str, Any]) -> Reply:
        now = self._clock()
        return self._templates.page(
            "admin.html",
            waiting=[self._line(line, now) for line in self._store.logins.waiting()],
            recent=[self._line(line, now) for line in self._store.logins.recent(12)],
            **shared,
        )

    async def _news(self) -> AsyncIterator[bytes]:
        yield b"retry: 2000\nevent: changed\ndata: begin\n\n"
        while True:
            changed = await self._changes.wait((ANY,), _HEARTBEAT)
            yield b"event: changed\ndata: now\n\n" if changed else b": still here\n\n"

    def _users(self, shared: Mapping[str, Any]) -> Reply:
        now = self._clock()
        rows = [self._user_row(user, now) for user in self._store.users.list()]
        return self._templates.page("admin_users.html", users=rows, **shared)

    def _user_row(self, user: User, now: float) -> Mapping[str, Any]:
        devices = self._store.devices.of(user.user_id)
        return {
            "user_id": user.user_id,
            "username": user.username,
            "status": "locked out" if user.is_locked(now) else user.status.value,
            "devices": sum(device.is_usable for device in devices),
            "created": _when(user.created),
        }

    def user_page(self, user_id: str, shared: Mapping[str, Any], **shown: Any) -> Reply:
        user = self._store.users.find(user_id)
        if user is None:
            return see_other("/admin/users?said=gone")
        now = self._clock()
        return self._templates.page(
            "admin_user.html",
            user=self._user_row(user, now),
            statuses=[status.value for status in UserStatus],
            policy=user.policy,
            factors=list(Factor),
            without_device=[NewUsers.ENROLL, NewUsers.DENY],
            devices=self._store.devices.of(user_id),
            recent=[self._line(line, now) for line in self._store.logins.recent(10, user_id)],
            when=_when,
            **({"link": "", "codes": []} | shown),
            **shared,
        )

    def applications_page(self, shared: Mapping[str, Any], **shown: Any) -> Reply:
        return self._templates.page(
            "admin_applications.html",
            applications=self._store.applications.list(),
            factors=list(Factor),
            new_users=list(NewUsers),
            default=Policy(),
            when=_when,
            **({"made": None, "skey": ""} | shown),
            **shared,
        )

    def _log(self, shared: Mapping[str, Any]) -> Reply:
        now = self._clock()
        return self._templates.page(
            "admin_log.html",
            logins=[self._line(line, now) for line in self._store.logins.recent(_SHOWN)],
            events=[
                {
                    "at": _when(event.at),
                    "actor": event.actor,
                    "what": event.what,
                    "details": " · ".join(event.details.values()),
                }
                for event in self._store.events.recent(_SHOWN)
            ],
            **shared,
        )

    def _line(self, line: LoginLine, now: float) -> Mapping[str, Any]:
        result, status = line.login.at(now)
        return {
            "txid": line.login.txid,
            "at": _when(line.login.created),
            "username": line.username,
            "application": line.application,
            "factor": line.login.factor.value,
            "where": line.login.details.get("ipaddr", ""),
            "result": result.value,
            "status": status.value.replace("_", " "),
            "left": max(0, int(line.login.expires - now)),
        }


def _when(seconds: float) -> str:
    """In the service's own time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "never"
