"""`authproxy login`: sends one login through the running proxy, as a client of a section would."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from authproxy.cli.asking import NoTerminal, hidden
from authproxy.cli.configuration import load_or_tell
from authproxy.cli.ldap_client import NotThere, ldap_way
from authproxy.cli.ldap_login import NotABindName, check_name, ldap_login
from authproxy.cli.radius_client import NoAnswer, RadiusClient
from authproxy.cli.radius_way import Unusable, Way, find_section, find_way, server_given, spelled
from authproxy.config.model import LdapServerAuto
from authproxy.config.model.radius_server import RadiusServer
from authproxy.protocols.radius.packet import REPLY_MESSAGE, STATE, Attribute, Code, Packet
from authproxy.protocols.radius.request import ReplyProblem
from authproxy.secret import Secret
from authproxy.values import light_dataclass

SUMMARY = (
    "Send one login through the running proxy, as a client of a section would. This tests everything from the client "
    "to the directory and the cloud. By RADIUS, the address of this machine has to be a client of the section."
)
EXAMPLE = "authproxy login --section radius_server_auto alice"

ACCEPTED, REJECTED, INVALID, NO_ANSWER = 0, 1, 2, 3
NAS_IDENTIFIER, PROMPT = 32, 76
_NAMES = {Code.ACCESS_ACCEPT: "Accept", Code.ACCESS_REJECT: "Reject", Code.ACCESS_CHALLENGE: "Challenge"}
_MOST_CHALLENGES = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "user",
        metavar="USER",
        help="the name as the user types it; for LDAP, the name with which the application binds: a "
        "DN, alice@corp.example, CORP\\alice",
    )
    parser.add_argument(
        "--section",
        metavar="S",
        help="the server section, by either of its names; not needed if there is only one",
    )
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read from standard input: the first line is the password, each further line answers a "
        "challenge",
    )
    parser.add_argument(
        "--server", metavar="HOST:PORT", help="where to send; default: where the section listens"
    )
    parser.add_argument(
        "--source", metavar="ADDRESS", default="", help="the address of this machine from which to send"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="how long to wait for an answer; default: as long as the proxy waits",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(options: argparse.Namespace) -> int:
    loaded = load_or_tell(options)
    if loaded is None:
        return INVALID
    if not options.user.strip():
        print("authproxy login: USER is empty: give the name as the user types it", file=sys.stderr)
        return INVALID
    try:
        name, section = find_section(
            options.section, {**loaded.config.all(RadiusServer), **loaded.config.all(LdapServerAuto)}
        )
        if isinstance(section, LdapServerAuto):
            return _by_ldap(name, section, options)
        way = find_way(
            loaded.config.all(RadiusServer),
            loaded.path,
            section=name,
            server=options.server,
            source=options.source,
            timeout=options.timeout,
        )
        outcome = _converse(options.user, way, _answers(options))
    except Unusable as unusable:
        print(f"authproxy login: {unusable}", file=sys.stderr)
        return INVALID
    _print(outcome, Asked(way.section, way.server, way.client.name), as_json=options.json)
    return outcome.code


def _by_ldap(name: str, section: LdapServerAuto, options: argparse.Namespace) -> int:
    """Raises Unusable."""
    try:
        check_name(options.user)
        server = server_given(options.server) if options.server is not None else None
        asked = Asked(name, server or ldap_way(section).server)
        password = _answers(options)(f"Password of {options.user}: ", False)
    except (NotABindName, NotThere) as wrong:
        raise Unusable(str(wrong)) from None
    began = time.monotonic()
    try:
        bound = ldap_login(
            section, options.user, password, server=server, timeout=options.timeout, waiting=_progress
        )
    except NotThere as failed:
        reasons = [str(failed), "is authproxy running with this configuration? See `authproxy status`"]
        outcome = Outcome(NO_ANSWER, "none", time.monotonic() - began, reasons=reasons)
    else:
        code, word = (ACCEPTED, "Accept") if bound.accepted else (REJECTED, "Reject")
        messages = [bound.message] if bound.message else []
        outcome = Outcome(code, word, time.monotonic() - began, messages)
    finally:
        _progress_over()
    _print(outcome, asked, as_json=options.json)
    return outcome.code


@dataclass(slots=True)
class Outcome:
    code: int
    answer: str  # Accept, Reject, Challenge, or none
    seconds: float
    messages: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)  # why there may be no answer


@light_dataclass(frozen=True, slots=True)
class Asked:
    """Which server was asked, and as which client ("" for LDAP, where applications have no name)."""

    section: str
    server: tuple[str, int]
    client: str = ""


# ---- what is asked of whom runs the command

# Answers a question; True: the answer may be seen while it is typed.
Answers = Callable[[str, bool], Secret]


def _answers(options: argparse.Namespace) -> Answers:
    return _from_stdin() if options.password_stdin else _from_terminal()


def _from_terminal() -> Answers:
    def ask(question: str, visible: bool) -> Secret:
        if visible:
            print(question, end="", file=sys.stderr, flush=True)
            return Secret.of(sys.stdin.readline().rstrip("\r\n"))
        try:
            return Secret.of(hidden(question))
        except NoTerminal as none:
            raise Unusable(str(none)) from None

    return ask


def _from_stdin() -> Answers:
    lines = 0

    def ask(question: str, visible: bool) -> Secret:
        nonlocal lines
        line = sys.stdin.buffer.readline()
        if not line and not lines:
            raise Unusable("standard input is empty: its first line has to be the password")
        if not line:
            raise Unusable("standard input has no more lines, but there is a challenge to answer")
        lines += 1
        return Secret(line.rstrip(b"\r\n"))

    return ask


# ---- the conversation


def _converse(user: str, way: Way, answers: Answers) -> Outcome:
    """Password, then an answer to each challenge."""
    password = answers(f"Password of {user}: ", False)
    began = time.monotonic()
    messages: list[str] = []
    state: bytes | None = None
    with _connected(way) as client:
        for _ in range(_MOST_CHALLENGES):
            try:
                reply = client.login(
                    user,
                    password,
                    state=state,
                    attributes=[Attribute(NAS_IDENTIFIER, b"authproxy-login")],
                    timeout=way.timeout,
                    waiting=_progress,
                )
            except NoAnswer as failed:
                reasons = _likely(failed, way)
                return Outcome(NO_ANSWER, "none", time.monotonic() - began, messages, reasons)
            except ValueError as error:
                raise Unusable(f"this can't be sent by RADIUS: {error}") from None
            finally:
                _progress_over()
            messages = _messages(reply)
            if reply.code != Code.ACCESS_CHALLENGE:
                break
            for message in messages:
                print(message, file=sys.stderr)
            state = reply.first(STATE)
            password = answers("Answer: ", reply.first(PROMPT) == b"\0\0\0\1")
    code = ACCEPTED if reply.code == Code.ACCESS_ACCEPT else REJECTED
    return Outcome(code, _NAMES[Code(reply.code)], time.monotonic() - began, messages)


def _connected(way: Way) -> RadiusClient:
    try:
        return RadiusClient(
            way.server,
            way.client.secret,
            source=way.source,
            require_message_authenticator=not way.client.omit_message_authenticator,
        )
    except OSError as error:
        raise Unusable(f"can't send from {way.source} to {spelled(way.server)}: {error.strerror}") from None


def _messages(reply: Packet) -> list[str]:
    """RFC 2865 §5.18: several are one text in parts, or several; what doesn't print is not printed."""
    texts = (value.decode("utf-8", "replace") for value in reply.all(REPLY_MESSAGE))
    return ["".join(letter for letter in text if letter.isprintable() or letter == "\n") for text in texts]


def _likely(failed: NoAnswer, way: Way) -> list[str]:
    """Why there may be no answer, the likeliest first."""
    reasons = []
    if failed.refused:
        return [f"nothing listens at {spelled(way.server)}: is authproxy running? See `authproxy status`"]
    if failed.dropped:
        problems = ", ".join(f"{problem} ({count})" for problem, count in failed.dropped.most_common())
        reasons.append(
            f"{failed.dropped.total()} answers came that were ignored because they can't be trusted: "
            f"{problems}"
        )
    if ReplyProblem.RESPONSE_AUTHENTICATOR in failed.dropped:
        reasons.append(
            f"the proxy uses another secret for client {way.client.name} than {way.file}: was the "
            "file changed after the proxy was started?"
        )
        return reasons
    return [
        *reasons,
        f"the proxy uses another secret for client {way.client.name} than {way.file} (its log "
        "has radius.discarded cause=message_authenticator)",
        f"{way.source} is not a client of the running proxy (its log has radius.discarded "
        "cause=unknown_client)",
        f"authproxy isn't running, or doesn't listen at {spelled(way.server)}: see `authproxy status`",
        "the login took longer than this command waited: use --timeout",
    ]


# ---- what is shown


def _progress(seconds: float) -> None:
    if sys.stderr.isatty():
        print(f"\rwaiting for an answer, {seconds:.0f} s ", end="", file=sys.stderr, flush=True)


def _progress_over() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _print(outcome: Outcome, asked: Asked, *, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps(
                {
                    "answer": outcome.answer.lower(),
                    "messages": outcome.messages,
                    "seconds": round(outcome.seconds, 3),
                    "section": asked.section,
                    "server": spelled(asked.server),
                    "client": asked.client,
                    "reasons": outcome.reasons,
                }
            )
        )
    elif outcome.code == NO_ANSWER:
        print(f"no answer from {spelled(asked.server)} in {outcome.seconds:.0f} s. Likely causes:")
        for reason in outcome.reasons:
            print(f"  - {reason}")
    else:
        print(": ".join((outcome.answer, *outcome.messages)))
