"""`authproxy cloud admin`: who may use the administration page."""

from __future__ import annotations

import argparse
import sys
from typing import Any
from urllib.parse import quote

from authproxy.cli.asking import NoTerminal, hidden
from authproxy.cli.cloud.output import Failed, opened, show, tell
from authproxy.embedded.cloud.store.administrators import LEAST_PASSWORD
from authproxy.embedded.cloud.store.applications import NameTaken
from authproxy.secret import Secret


def arguments(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser("admin", help="who may use the administration page")
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    add = verbs.add_parser(
        "add",
        parents=[shared],
        help="add one: asks for a password, and prints a code to scan with an authenticator app",
    )
    add.add_argument("name")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add.set_defaults(does=_add)
    listing = verbs.add_parser("list", parents=[shared], help="list all of them")
    listing.set_defaults(does=_list)
    remove = verbs.add_parser("remove", parents=[shared], help="remove one, and end their sessions")
    remove.add_argument("name")
    remove.set_defaults(does=_remove)


def _add(options: argparse.Namespace) -> int:
    if not 1 <= len(options.name) <= 64 or not options.name.isprintable():
        raise Failed("the name has to have 1 to 64 printable characters")
    password = _password(options)
    with opened(options) as store:
        try:
            otp = store.administrators.add(options.name, password).reveal().decode()
        except NameTaken:
            raise Failed(f"there is already an administrator {options.name}") from None
        store.events.add("command line", "administrator.added", name=options.name)
        base = store.pages()
    uri = f"otpauth://totp/authproxy%20admin:{quote(options.name)}?secret={otp}&issuer=authproxy%20admin"
    if not options.json and sys.stdout.isatty():
        _print_code(uri)
    hint = "Scan it with an authenticator app, or type the secret. It is not shown again."
    return tell(options, {"name": options.name, "secret": otp, "uri": uri, "page": f"{base}/admin"}, "", hint)


def _password(options: argparse.Namespace) -> Secret:
    if options.password_stdin:
        typed = sys.stdin.readline().rstrip("\r\n")
    else:
        try:
            typed = hidden(f"Password, {LEAST_PASSWORD} characters or more: ")
            again = hidden("Once more: ")
        except NoTerminal as none:
            raise Failed(str(none)) from None
        if again != typed:
            raise Failed("the two passwords that you typed are different")
    if not LEAST_PASSWORD <= len(typed) <= 1024:
        raise Failed(f"the password has to have {LEAST_PASSWORD} characters or more")
    return Secret.of(typed)


def _print_code(text: str) -> None:
    import qrcode  # noqa: PLC0415 - only where a person looks

    code = qrcode.QRCode(border=2)
    code.add_data(text)
    code.print_ascii(invert=True)


def _list(options: argparse.Namespace) -> int:
    with opened(options) as store:
        rows = [{"name": name} for name in store.administrators.list()]
    return show(options, rows, "There are no administrators. `authproxy cloud admin add NAME` adds one.")


def _remove(options: argparse.Namespace) -> int:
    with opened(options) as store:
        if not store.administrators.remove(options.name):
            raise Failed(f"there is no administrator {options.name}")
        store.events.add("command line", "administrator.removed", name=options.name)
    return tell(options, {"removed": options.name})
