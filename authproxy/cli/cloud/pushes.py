"""`authproxy cloud push` and `log`: what waits for an answer, an answer for it, and what happened."""

from __future__ import annotations

import argparse
import time
from typing import Any

from authproxy.cli.cloud.output import Failed, opened, show, tell, when
from authproxy.embedded.cloud.model import Result, Status
from authproxy.embedded.cloud.store.logins import LoginLine

_ENDS = {
    "approve": (Result.ALLOW, Status.ALLOW, "let in"),
    "deny": (Result.DENY, Status.DENY, "not let in"),
    "fraud": (Result.DENY, Status.FRAUD, "not let in, and recorded as fraud"),
}


def arguments(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser("push", help="logins that are waiting for an answer")
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    listing = verbs.add_parser("list", parents=[shared], help="list them")
    listing.set_defaults(does=_list)
    for name, (_, _, words) in _ENDS.items():
        verb = verbs.add_parser(name, parents=[shared], help=f"the user is {words}")
        verb.add_argument("txid", help="the login's id, as `push list` shows it")
        verb.set_defaults(does=_end, end=name)
    log = actions.add_parser("log", parents=[shared], help="show the last logins and events")
    log.add_argument("--last", type=int, default=20, metavar="N")
    log.set_defaults(does=_log)


def _list(options: argparse.Namespace) -> int:
    now = time.time()
    with opened(options) as store:
        rows = [
            {
                "txid": line.login.txid,
                "username": line.username,
                "application": line.application,
                "factor": line.login.factor.value,
                "from": line.login.details.get("ipaddr", ""),
                "seconds_left": max(0, int(line.login.expires - now)),
            }
            for line in store.logins.waiting()
        ]
    return show(options, rows, "No login is waiting.")


def _end(options: argparse.Namespace) -> int:
    result, status, _ = _ENDS[options.end]
    with opened(options) as store:
        if not store.logins.decide(options.txid, result, status):
            raise Failed(f"{options.txid} is not waiting: it is unknown, was decided, or has expired")
        store.events.add("command line", f"login.{options.end}", txid=options.txid)
    return tell(options, {"txid": options.txid, "status": status.value})


def _log(options: argparse.Namespace) -> int:
    now = time.time()
    with opened(options) as store:
        rows = [_line(line, now) for line in store.logins.recent(options.last)]
        rows += [
            {"at": event.at, "who": event.actor, "what": event.what, "how": " ".join(event.details.values())}
            for event in store.events.recent(options.last)
        ]
    rows.sort(key=lambda row: float(str(row["at"])))
    shown = [row | {"at": when(float(str(row["at"])))} for row in rows[-options.last :]]
    return show(options, shown, "Nothing has happened yet.")


def _line(line: LoginLine, now: float) -> dict[str, object]:
    result, status = line.login.at(now)
    return {
        "at": line.login.created,
        "who": line.username,
        "what": f"{line.login.factor.value} for {line.application}",
        "how": f"{result.value} {status.value}",
    }
