"""`authproxy status`: the status page in a terminal. Exit code 0: ready; 1: not ready, or not running."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from authproxy.cli.admin_client import AdminClient, NotAnswering
from authproxy.cli.configuration import load_or_tell
from authproxy.cli.terminal import Terminal
from authproxy.listeners.admin.words import span

SUMMARY = (
    "Show what the running proxy does now: whether it is ready, which logins are waiting, "
    "and who was let in and why. Needs main.admin."
)
EXAMPLE = "authproxy status && echo ready"

READY, NOT_READY, INVALID = 0, 1, 2
_KINDS = {"up": "good", "down": "bad", "unknown": "quiet"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print everything as one JSON object, for programs"
    )
    parser.add_argument(
        "--clients",
        action="store_true",
        help="show the RADIUS clients instead, and which of them can be required to send a "
        "Message-Authenticator",
    )
    parser.add_argument(
        "--lines", type=int, default=10, metavar="N", help="how many decisions to show; default 10"
    )


def run(options: argparse.Namespace) -> int:
    loaded = load_or_tell(options)
    if loaded is None:
        return INVALID
    client = AdminClient.of(loaded.config.main)
    if client is None:
        print(
            f"authproxy status: {loaded.path} has no main.admin, so the proxy can't be asked; add "
            "`admin: 127.0.0.1:8912` to main",
            file=sys.stderr,
        )
        return INVALID
    try:
        body = client.status()
    except NotAnswering as silent:
        print(f"authproxy status: {silent}", file=sys.stderr)
        return NOT_READY
    if options.json:
        print(json.dumps(body["clients"] if options.clients else body, indent=2))
    elif options.clients:
        show_clients(body["clients"], Terminal(), time.time())
    else:
        show(body, Terminal(), time.time(), options.lines)
    return READY if body.get("ready") else NOT_READY


def show(body: dict[str, Any], terminal: Terminal, now: float, lines: int) -> None:
    """The page from top to bottom; the most important first."""
    _head(body, terminal, now)
    for section in body["sections"]:
        _section(section, terminal, now)
    waiting = [
        (
            login["user"],
            span(now - _at(login["since"])),
            login["factor"] or "",
            login["section"],
            _from(login),
        )
        for login in body["pending"]
    ]
    _block("waiting for their second factor", waiting[:lines], terminal, more=len(waiting) - lines)
    _block("last decisions", map(_decision, body["decisions"][:lines]), terminal)
    _block(
        "let in without a second factor by a rule", map(_decision, body["without_factor"][:lines]), terminal
    )
    _block("alarms", map(_alarm, body["alarms"][:lines]), terminal)
    certificates = [
        (found["name"], found["not_after"][:10], _left(_at(found["not_after"]) - now))
        for found in body["certificates"]
    ]
    _block("certificates", certificates, terminal)
    _block("how long RADIUS clients wait", map(_patience, body.get("patience", ())), terminal)


_ADVICE = {
    "required": "is required already",
    "safe": "safe: set require_message_authenticator: yes",
    "wait": "wait: it has sent one with each request for less than a week",
    "unsafe": "sends requests without one: requiring it would lock this client out",
    "unseen": "nothing seen yet",
}


def show_clients(clients: Sequence[dict[str, Any]], terminal: Terminal, now: float) -> None:
    """One line each. A `latched` client has to send a Message-Authenticator, until the state folder is emptied."""

    def ago(at: str | None) -> str:
        return f"{span(now - _at(at))} ago" if at else "never"

    titles = (
        "SECTION",
        "CLIENT",
        "REQUIRE",
        "LATCHED",
        "SIGNED SINCE",
        "LAST WITHOUT",
        "LAST SEEN",
        "ADVICE",
    )
    rows = [
        (
            client["section"],
            client["client"],
            client["require_message_authenticator"],
            "yes" if client["latched"] else "no",
            client["signed_since"][:10] if client["signed_since"] else "-",
            ago(client["unsigned_at"]),
            ago(client["last_at"]),
            _ADVICE.get(client["advice"], client["advice"]),
        )
        for client in clients
    ]
    terminal.table([titles, *rows], indent="")


def _head(body: dict[str, Any], terminal: Terminal, now: float) -> None:
    word = "draining" if body["draining"] else "ready" if body["ready"] else "NOT READY"
    up = span(now - _at(body["started"]))
    state = f"authproxy {body['version']} on {body['hostname']}, up {up}: {word}"
    terminal.line(state, "good" if body["ready"] else "bad")
    for section in body["sections"]:
        if section["open"]:
            said = f" THE DOOR IS OPEN: {section['name']} lets users in on a password alone "
            if section["primary_only_until"]:
                said += f"(by command, for {span(_at(section['primary_only_until']) - now)} more) "
            if section["open_since"]:
                said += f"(the first one {span(now - _at(section['open_since']))} ago) "
            terminal.line(said, "alarm")
    for why in body["why"]:
        terminal.line(f"  ! {why}", "bad")
    for warning in body["warnings"]:
        terminal.line(f"  ! {warning}", "warn")
    if count := body["fail_open_count"]:
        terminal.line()
        logins = "login was" if count == 1 else "logins were"
        terminal.line(f"{count} {logins} let in by fail open since the start", "bad")
        terminal.table(_decision(event) for event in body["fail_opens"][:20])


def _section(section: dict[str, Any], terminal: Terminal, now: float) -> None:
    terminal.line()
    words = [
        section["name"],
        "" if section["kind"] == section["name"] else f"({section['kind']})",
        "ready" if section["ready"] else "NOT READY",
        f"failmode {section['failmode']}",
        f"{section['pending']} pending",
    ]
    terminal.line("  ".join(filter(None, words)), "strong" if section["ready"] else "bad")
    rows = [("listens on", address, "") for address in section["listening"]] or [
        ("listens on", "nothing", "")
    ]
    for host in (section["primary"] or {"hosts": []})["hosts"]:
        rows.append(("primary", host["host"], _health(host, now)))
    if cloud := section["cloud"]:
        breaker = ", breaker open" if cloud["breaker"] == "open" else ""
        slow = ", SLOW" if cloud["slow"] else ""
        rows.append(("cloud", cloud["api_host"], _health(cloud, now) + breaker + slow))
    terminal.table(rows)


def _health(host: dict[str, Any], now: float) -> str:
    if host["state"] == "unknown":
        return "not asked yet"
    since = f" for {span(now - _at(host['since']))}" if host["since"] else ""
    why = f": {host['why']}" if host["why"] else ""
    return f"{host['state']}{since}{why}"


def _block(title: str, rows: Iterable[tuple[str, ...]], terminal: Terminal, *, more: int = 0) -> None:
    rows = list(rows)
    if rows:
        terminal.line()
        terminal.line(title, "strong")
        terminal.table(rows)
        if more > 0:
            terminal.line(f"  and {more} more")


def _decision(event: dict[str, Any]) -> tuple[str, ...]:
    when = datetime.fromtimestamp(_at(event["timestamp"])).astimezone()
    return (
        when.strftime("%Y-%m-%d %H:%M:%S"),
        event["username"] or "?",
        event["decision"] or "",
        event["reason"] or "",
        event["cause"] or "",
        event["factor"] or "",
        event["server_section"],
        _from(event),
    )


def _alarm(alarm: dict[str, Any]) -> tuple[str, ...]:
    when = datetime.fromtimestamp(_at(alarm["timestamp"])).astimezone()
    return (when.strftime("%Y-%m-%d %H:%M:%S"), alarm["alarm"], alarm["subject"], alarm["text"])


def _patience(client: dict[str, Any]) -> tuple[str, ...]:
    every = f"asks every {client['asks_every']:.3g} s" if client["asks_every"] is not None else ""
    if client["gives_up"] is None:
        waits = f"waits at least {client['waited']:.0f} s" if client["waited"] else ""
        return client["client"], every, waits
    too_short = "; TOO SOON FOR A PUSH: set it to 60 s or more" if client["too_short"] else ""
    return client["client"], every, f"gives up after {client['gives_up']:.0f} s{too_short}"


def _from(said: dict[str, Any]) -> str:
    return " ".join(filter(None, (said["client"], said["client_ip"] or said["nas_ip"])))


def _left(seconds: float) -> str:
    return f"expires in {span(seconds)}" if seconds > 0 else f"EXPIRED {span(-seconds)} ago"


def _at(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
