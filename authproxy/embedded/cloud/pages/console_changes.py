"""What administrators can change. Each change is logged with their name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from authproxy.embedded.cloud.changes import Changes
from authproxy.embedded.cloud.enrolment import Enrolment
from authproxy.embedded.cloud.links import Links
from authproxy.embedded.cloud.model import (
    Factor,
    NewUsers,
    Policy,
    Result,
    Status,
    UserPolicy,
    UserStatus,
)
from authproxy.embedded.cloud.pages.browser import plain, see_other
from authproxy.embedded.cloud.pages.console import Console, shared_values
from authproxy.embedded.cloud.store.applications import NameTaken
from authproxy.embedded.cloud.store.store import Store
from authproxy.embedded.cloud.web import Answer, Call, Reply
from authproxy.pipeline.username import MalformedUsername, read_username

_DAY = 86400.0
_MOST_NAME = 100


class ConsoleChanges:
    """The caller has proved to be an administrator, and the form to be ours."""

    def __init__(
        self, *, store: Store, enrolment: Enrolment, changes: Changes, console: Console, links: Links
    ) -> None:
        self._store = store
        self._enrolment = enrolment
        self._changes = changes
        self._console = console
        self._links = links

    def change(self, call: Call, admin: str, word: str) -> Answer:  # noqa: PLR0911 - a form each
        form, shared = call.form(), shared_values(call, admin, word)
        match call.path.removeprefix("/admin").strip("/").split("/"):
            case ["users", "add"]:
                return self._add_user(form, admin)
            case ["user", user_id, action]:
                return self._change_user(user_id, action, form, shared)
            case ["device", device_id, "remove"]:
                return self._remove_device(device_id, admin)
            case ["applications", "add"]:
                return self._add_application(form, shared)
            case ["application", ikey, action]:
                return self._change_application(ikey, action, form, admin)
            case ["login", txid, "deny"]:
                return self._deny(txid, admin)
            case _:
                return plain(404, "There is no such page.")

    def _add_user(self, form: Mapping[str, str], admin: str) -> Reply:
        try:
            username = read_username(form.get("username", "").encode("utf-8", "replace")).canonical
            user = self._store.users.add(username)
        except MalformedUsername:
            return see_other("/admin/users?said=name")
        except NameTaken:
            return see_other("/admin/users?said=taken")
        self._store.events.add(admin, "user.added", username=username)
        return see_other(f"/admin/user/{user.user_id}?said=done")

    def _change_user(
        self, user_id: str, action: str, form: Mapping[str, str], shared: Mapping[str, Any]
    ) -> Answer:
        user = self._store.users.find(user_id)
        if user is None:
            return see_other("/admin/users?said=gone")
        here = f"/admin/user/{user_id}?said=done"
        note = {"username": user.username}
        match action:
            case "invite":
                link = self._links.portal(self._enrolment.invite(user, _DAY))
                self._store.events.add(shared["admin"], "user.invited", **note)
                return self._console.user_page(user_id, shared, link=link)
            case "bypass":
                codes = self._store.codes.bypass(user_id, 2, _DAY)
                self._store.events.add(shared["admin"], "user.bypass_codes_made", **note)
                return self._console.user_page(
                    user_id, shared, codes=[code.reveal().decode() for code in codes]
                )
            case "status" if form.get("status") in {status.value for status in UserStatus}:
                self._store.users.set_status(user_id, UserStatus(form["status"]))
                note["status"] = form["status"]
            case "policy" if (policy := _user_policy(form)) is not None:
                self._store.users.set_policy(user_id, policy)
            case "unlock":
                self._store.users.unlock(user_id)
            case "forget":
                self._store.remembered.forget(user_id)
            case "remove":
                self._store.users.remove(user_id)
                here = "/admin/users?said=done"
            case _:
                return see_other("/admin/users?said=stale")
        self._store.events.add(shared["admin"], f"user.{action}", **note)
        return see_other(here)

    def _remove_device(self, device_id: str, admin: str) -> Reply:
        device = self._store.devices.find(device_id)
        if device is None:
            return see_other("/admin/users?said=gone")
        self._store.devices.remove(device_id)
        self._store.events.add(admin, "device.removed", device=device_id)
        self._changes.tell(device_id)
        return see_other(f"/admin/user/{device.user_id}?said=done")

    def _add_application(self, form: Mapping[str, str], shared: Mapping[str, Any]) -> Answer:
        name = form.get("name", "").strip()
        if not 1 <= len(name) <= _MOST_NAME or not name.isprintable():
            return see_other("/admin/applications?said=name")
        policy = _policy(form)
        if policy is None:
            return see_other("/admin/applications?said=stale")
        try:
            made = self._store.applications.add(name, policy)
        except NameTaken:
            return see_other("/admin/applications?said=taken")
        self._store.events.add(shared["admin"], "application.added", name=name)
        # The one time that it is shown: in the answer itself, so that no address leads to it again.
        return self._console.applications_page(
            shared, made=made.application, skey=made.skey.reveal().decode()
        )

    def _change_application(self, ikey: str, action: str, form: Mapping[str, str], admin: str) -> Reply:
        application = self._store.applications.find(ikey)
        if application is None:
            return see_other("/admin/applications?said=gone")
        match action, _policy(form):
            case "policy", Policy() as policy:
                self._store.applications.change_policy(application.ikey, policy)
            case "remove", _:
                self._store.applications.remove(application.ikey)
            case _:
                return see_other("/admin/applications?said=stale")
        self._store.events.add(admin, f"application.{action}", name=application.name)
        return see_other("/admin/applications?said=done")

    def _deny(self, txid: str, admin: str) -> Reply:
        login = self._store.logins.find(txid)
        if login is None or not self._store.logins.decide(txid, Result.DENY, Status.DENY):
            return see_other("/admin?said=gone")
        self._store.events.add(admin, "login.denied", txid=txid)
        self._changes.tell(txid, login.device_id or "")
        return see_other("/admin?said=done")


def _policy(form: Mapping[str, str]) -> Policy | None:
    try:
        hours = float(form.get("remember_hours") or 0)
        new_users = NewUsers(form.get("new_users", ""))
    except ValueError:
        return None
    factors = _factors(form)
    if not factors or not math.isfinite(hours) or not 0 <= hours <= 24 * 365:
        return None
    return Policy(new_users, factors, number_matching=bool(form.get("number_matching")), remember_hours=hours)


def _user_policy(form: Mapping[str, str]) -> UserPolicy | None:
    """None: not what the page's form can say."""
    factors, own = _factors(form), form.get("without_device", "")
    try:
        # All of them ticked is no rule, so that a factor that comes later is there, too.
        return UserPolicy(
            None if factors == frozenset(Factor) else factors, None if not own else NewUsers(own)
        )
    except ValueError:
        return None


def _factors(form: Mapping[str, str]) -> frozenset[Factor]:
    return frozenset(factor for factor in Factor if form.get(f"factor_{factor.value}"))
