"""`authproxy primary-only`: switches the second factor off for a while, in safe sections of the running proxy."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path

from authproxy.backends import primary_only
from authproxy.backends.lasting_clock import this_boot
from authproxy.backends.primary_only import DEFAULT_MINUTES, MOST_MINUTES, Order, OrderRefused
from authproxy.backends.state_dir import StateUnusable, lasting_key
from authproxy.cli.configuration import load_or_tell
from authproxy.config.load import Loaded
from authproxy.config.model import ServerSection
from authproxy.config.problems import suggestion
from authproxy.config.rules import checks_no_password
from authproxy.pipeline.fail_mode import FailMode

SUMMARY = (
    "Switch the second factor off for a while, in sections with failmode: safe: a correct "
    "password is then enough. It takes effect in the running proxy at once, and ends by "
    "itself or with --stop."
)
EXAMPLE = "authproxy primary-only --minutes 30"


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "-t",
        "--minutes",
        "--expiration-time",
        type=_minutes,
        default=DEFAULT_MINUTES,
        metavar="N",
        help=f"for how many minutes, 1 to {MOST_MINUTES}; default {DEFAULT_MINUTES}",
    )
    what.add_argument("--stop", action="store_true", help="end it now")
    what.add_argument("--status", action="store_true", help="print whether it is on, and until when")
    parser.add_argument(
        "--section",
        action="append",
        default=[],
        metavar="S",
        help="only in this section; can be given several times",
    )
    parser.add_argument("--non-interactive", action="store_true", help="don't ask for confirmation")


def _minutes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"1 to {MOST_MINUTES} minutes")
    return int(text)


def run(options: argparse.Namespace) -> int:
    loaded = load_or_tell(options)
    if loaded is None:
        return 2
    folder = loaded.config.main.state_dir
    try:
        if options.status:
            return _status(folder)
        if options.stop:
            return _stop(folder)
        return _begin(loaded, folder, options)
    except PermissionError as error:
        print(f"{error.filename or folder}: only root and the proxy's own user may do this", file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or folder}: {error.strerror}", file=sys.stderr)
    except (StateUnusable, OrderRefused) as unusable:
        print(f"{folder}: {unusable}", file=sys.stderr)
    return 1


def _begin(loaded: Loaded, folder: Path, options: argparse.Namespace) -> int:
    safe = safe_sections(loaded)
    for name in options.section:
        if name not in safe:
            servers = [section.name for section in loaded.config.all(ServerSection).values()]
            why = (
                "doesn't have failmode: safe"
                if name in servers
                else f"is not a section{suggestion(name, servers)}"
            )
            print(
                f"{name} {why}; this works only in sections with failmode: safe that check a password",
                file=sys.stderr,
            )
            return 1
    if not safe:
        print("no section has failmode: safe, so there is nothing to switch off", file=sys.stderr)
        return 1
    names = options.section or safe
    if not (folder / "key").exists():
        print(f"{folder}: no proxy has been started with this state_dir yet", file=sys.stderr)
        return 1
    if sys.stdin.isatty() and not options.non_interactive and not _is_meant(names, options.minutes):
        print("nothing changed", file=sys.stderr)
        return 1
    order = Order(time.time(), options.minutes, this_boot(), tuple(options.section))
    primary_only.give(folder, order)
    print(f"primary-only is on until {_moment(order.until)} for {', '.join(names)}; `--stop` ends it")
    return 0


def _is_meant(names: list[str], minutes: int) -> bool:
    print(f"For {minutes} minutes, a correct password alone will be enough in {', '.join(names)}.")
    return input("Type yes to go on: ").strip().lower() == "yes"


def _stop(folder: Path) -> int:
    print("primary-only is over" if primary_only.take_back(folder) else "primary-only was not on")
    return 0


def _status(folder: Path) -> int:
    path = folder / primary_only.FILE_NAME
    # Not asked for where there is none: the key would be made.
    order = primary_only.read(path, lasting_key(folder / "key")) if path.exists() else None
    if order is None or not order.holds(time.time(), this_boot()):
        print("off")
        return 0
    names = ", ".join(order.sections) or "all sections with failmode: safe"
    print(f"on until {_moment(order.until)} for {names}")
    return 0


def safe_sections(loaded: Loaded) -> list[str]:
    """The names of the sections in which it can be switched off."""
    sections = loaded.config.sections
    return [
        section.name
        for section in loaded.config.all(ServerSection).values()
        if section.failmode is FailMode.SAFE and not checks_no_password(section, sections)
    ]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
