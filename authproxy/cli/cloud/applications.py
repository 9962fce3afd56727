"""`authproxy cloud application`: who may call the API. The secret key is shown once, when it is made."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from authproxy.cli.cloud.output import Failed, opened, show, tell, when
from authproxy.embedded.cloud.model import Application, Factor, NewUsers, Policy
from authproxy.embedded.cloud.store.applications import NameTaken
from authproxy.secret import Secret


def arguments(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser("application", help="which applications may call the API, and by which rules")
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    add = verbs.add_parser(
        "add",
        parents=[shared],
        help="add one; prints its integration key and its secret key, which is never shown again",
    )
    add.add_argument("name")
    add.add_argument(
        "--skey-file",
        type=Path,
        metavar="FILE",
        help="write the secret key to this file instead, with mode 0600",
    )
    _policy_arguments(add)
    add.set_defaults(does=_add)
    listing = verbs.add_parser("list", parents=[shared], help="list all of them")
    listing.set_defaults(does=_list)
    policy = verbs.add_parser(
        "policy", parents=[shared], help="replace its rules; options that you leave out get their default"
    )
    policy.add_argument("application", metavar="NAME", help="its name or integration key")
    _policy_arguments(policy)
    policy.set_defaults(does=_policy)
    remove = verbs.add_parser("remove", parents=[shared], help="remove it; its key stops working at once")
    remove.add_argument("application", metavar="NAME", help="its name or integration key")
    remove.set_defaults(does=_remove)


def _policy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--new-users",
        choices=[choice.value for choice in NewUsers],
        default=NewUsers.ENROLL.value,
        help="whether users who are unknown or have no device are asked to enroll, let in, or denied; "
        "default %(default)s",
    )
    parser.add_argument(
        "--factors",
        nargs="+",
        choices=[factor.value for factor in Factor],
        default=[factor.value for factor in Factor],
        help="the factors that it offers; default: all",
    )
    parser.add_argument(
        "--number-matching",
        action="store_true",
        help="to approve a push, the user has to type a number on the phone; needs a client that "
        "shows the number",
    )
    parser.add_argument(
        "--remember-hours",
        type=float,
        default=0.0,
        metavar="HOURS",
        help="for how long a client that was let in needs no factor; default 0: it always needs one",
    )


def _policy_of(options: argparse.Namespace) -> Policy:
    if not 0 <= options.remember_hours <= 24 * 365:
        raise Failed("--remember-hours: 0 to 8760")
    return Policy(
        new_users=NewUsers(options.new_users),
        factors=frozenset(map(Factor, options.factors)),
        number_matching=options.number_matching,
        remember_hours=options.remember_hours,
    )


def _add(options: argparse.Namespace) -> int:
    if not 1 <= len(options.name) <= 100 or not options.name.isprintable():
        raise Failed("the name has to have 1 to 100 printable characters")
    with opened(options) as store:
        try:
            made = store.applications.add(options.name, _policy_of(options))
        except NameTaken:
            raise Failed(f"there is already an application {options.name}") from None
        store.events.add("command line", "application.added", name=options.name)
    facts = {"name": made.application.name, "ikey": made.application.ikey}
    if options.skey_file is not None:
        _write_secret(options.skey_file, made.skey)
        return tell(options, facts | {"skey_file": str(options.skey_file)})
    skey = made.skey.reveal().decode()
    return tell(options, facts | {"skey": skey}, "", "The secret key is not shown again.")


def _write_secret(path: Path, secret: Secret) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret.reveal() + b"\n")


def _list(options: argparse.Namespace) -> int:
    with opened(options) as store:
        rows = [_row(application) for application in store.applications.list()]
    return show(options, rows, "There are no applications. `authproxy cloud application add NAME` adds one.")


def _row(application: Application) -> dict[str, object]:
    policy = application.policy
    return {
        "name": application.name,
        "ikey": application.ikey,
        "new_users": policy.new_users.value,
        "factors": sorted(factor.value for factor in policy.factors),
        "number_matching": policy.number_matching,
        "remember_hours": policy.remember_hours,
        "created": when(application.created),
    }


def _policy(options: argparse.Namespace) -> int:
    with opened(options) as store:
        application = store.applications.find(options.application)
        if application is None:
            raise Failed(f"there is no application {options.application}")
        store.applications.change_policy(application.ikey, _policy_of(options))
        store.events.add("command line", "application.policy_changed", name=application.name)
        changed = store.applications.find(application.ikey)
    return tell(options, {} if changed is None else _row(changed))


def _remove(options: argparse.Namespace) -> int:
    with opened(options) as store:
        application = store.applications.find(options.application)
        if application is None:
            raise Failed(f"there is no application {options.application}")
        store.applications.remove(application.ikey)
        store.events.add("command line", "application.removed", name=application.name)
    return tell(options, {"removed": application.name})
