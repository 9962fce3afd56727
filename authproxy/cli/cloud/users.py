"""`authproxy cloud user`: who can log in, with what, and whether they are asked at all."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from authproxy.cli.cloud.output import Failed, known_user, opened, show, tell, username_of, when
from authproxy.embedded.cloud.links import Links
from authproxy.embedded.cloud.model import Factor, NewUsers, User, UserPolicy, UserStatus
from authproxy.embedded.cloud.store.applications import NameTaken
from authproxy.embedded.cloud.store.store import Store

_DAY = 86400.0


def arguments(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser("user", help="which users there are, and by which rules they log in")
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    add = verbs.add_parser("add", parents=[shared], help="add one")
    add.add_argument("user", metavar="NAME")
    add.add_argument(
        "--invite", action="store_true", help="print a link that turns a browser into the user's phone"
    )
    add.set_defaults(does=_add)
    listing = verbs.add_parser("list", parents=[shared], help="list all of them")
    listing.set_defaults(does=_list)
    for name, does, words in (
        ("remove", _remove, "remove the user, with all devices and logins"),
        (
            "invite",
            _invite,
            "print a link that turns a browser into the user's phone; it works once, for a day",
        ),
        ("unlock", _unlock, "unlock a user who typed too many wrong passcodes"),
    ):
        verb = verbs.add_parser(name, parents=[shared], help=words)
        verb.add_argument("user", metavar="NAME")
        verb.set_defaults(does=does)
    status = verbs.add_parser(
        "status",
        parents=[shared],
        help="set the user's status: active, bypass (isn't asked for a factor) or disabled",
    )
    status.add_argument("user", metavar="NAME")
    status.add_argument("status", choices=[choice.value for choice in UserStatus])
    status.set_defaults(does=_status)
    policy = verbs.add_parser(
        "policy",
        parents=[shared],
        help="replace the user's own rules; for options that you leave out, the application's rules apply",
    )
    policy.add_argument("user", metavar="NAME")
    policy.add_argument(
        "--factors",
        nargs="+",
        choices=[factor.value for factor in Factor],
        help="only these factors, if the application allows them",
    )
    policy.add_argument(
        "--without-device",
        choices=[NewUsers.ENROLL.value, NewUsers.DENY.value],
        help="whether the user is asked to enroll or denied while they have no device",
    )
    policy.set_defaults(does=_policy)
    codes = verbs.add_parser(
        "bypass", parents=[shared], help="print new bypass codes, for a user without their phone"
    )
    codes.add_argument("user", metavar="NAME")
    codes.add_argument("--count", type=int, default=1, metavar="N", help="how many, 1 to 10; default 1")
    codes.add_argument(
        "--hours", type=float, default=24, help="for how many hours they are valid; default 24"
    )
    codes.set_defaults(does=_bypass)


def _add(options: argparse.Namespace) -> int:
    with opened(options) as store:
        try:
            user = store.users.add(username_of(options.user))
        except NameTaken:
            raise Failed(f"there is already a user {options.user}") from None
        store.events.add("command line", "user.added", username=user.username)
        link = _link(store, user) if options.invite else {}
    return tell(options, {"username": user.username, "user_id": user.user_id, **link})


def _link(store: Store, user: User) -> Mapping[str, str]:
    code = store.activations.add(user.user_id, None, _DAY)
    if base := store.pages():
        return {"link": Links(base).portal(code)}
    return {"code": code.reveal().decode(), "link": f"{Links('').portal(code)} of the pages"}


def _list(options: argparse.Namespace) -> int:
    now = time.time()
    with opened(options) as store:
        rows = [
            {
                "username": user.username,
                "user_id": user.user_id,
                "status": "locked out" if user.is_locked(now) else user.status.value,
                "devices": len(store.devices.of(user.user_id)),
                **_rules(user.policy),
                "created": when(user.created),
            }
            for user in store.users.list()
        ]
    return show(options, rows, "There are no users. `authproxy cloud user add NAME` adds one.")


def _remove(options: argparse.Namespace) -> int:
    with opened(options) as store:
        user = known_user(store, options.user)
        store.users.remove(user.user_id)
        store.events.add("command line", "user.removed", username=user.username)
    return tell(options, {"removed": user.username})


def _invite(options: argparse.Namespace) -> int:
    with opened(options) as store:
        user = known_user(store, options.user)
        store.events.add("command line", "user.invited", username=user.username)
        link = _link(store, user)
    return tell(options, {"username": user.username, **link})


def _unlock(options: argparse.Namespace) -> int:
    with opened(options) as store:
        user = known_user(store, options.user)
        store.users.unlock(user.user_id)
        store.events.add("command line", "user.unlocked", username=user.username)
    return tell(options, {"unlocked": user.username})


def _status(options: argparse.Namespace) -> int:
    with opened(options) as store:
        user = known_user(store, options.user)
        store.users.set_status(user.user_id, UserStatus(options.status))
        store.events.add("command line", "user.status_changed", username=user.username, status=options.status)
    return tell(options, {"username": user.username, "status": options.status})


def _policy(options: argparse.Namespace) -> int:
    policy = UserPolicy(
        None if options.factors is None else frozenset(map(Factor, options.factors)),
        None if options.without_device is None else NewUsers(options.without_device),
    )
    with opened(options) as store:
        user = known_user(store, options.user)
        store.users.set_policy(user.user_id, policy)
        store.events.add("command line", "user.policy_changed", username=user.username)
    return tell(options, {"username": user.username, **_rules(policy)})


def _rules(policy: UserPolicy) -> Mapping[str, object]:
    return {
        "factors": [] if policy.factors is None else sorted(factor.value for factor in policy.factors),
        "without_device": policy.without_device.value if policy.without_device else "",
    }


def _bypass(options: argparse.Namespace) -> int:
    if not 1 <= options.count <= 10 or not 0 < options.hours <= 24 * 30:
        raise Failed("--count: 1 to 10; --hours: up to 720")
    with opened(options) as store:
        user = known_user(store, options.user)
        codes = store.codes.bypass(user.user_id, options.count, options.hours * 3600)
        store.events.add("command line", "user.bypass_codes_made", username=user.username)
    shown = [code.reveal().decode() for code in codes]
    return tell(
        options, {"username": user.username, "codes": shown}, "", "They are not shown again; each works once."
    )
