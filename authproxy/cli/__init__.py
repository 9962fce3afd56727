"""The commands, one module each, with SUMMARY, EXAMPLE, `arguments(parser)` and `run(options) -> exit code`."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
import textwrap
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from authproxy import __version__

# The order is the order of `--help`: how a newcomer meets them.
VERBS = {
    "demo": "try everything on this machine: directory, cloud, phone page, proxy; nothing else is needed",
    "run": "run the daemon in the foreground",
    "check": "read the configuration and report every problem; starts nothing",
    "probe": "test the cloud, the clock, directories, TLS and ports, a line each",
    "login": "send one login through the running proxy, as a client would",
    "status": "show what the running proxy does now",
    "primary-only": "switch the second factor off for a while, in sections with failmode: safe",
    "explain": "show which rules apply to a user in a section, now and in an outage",
    "paths": "list every way in without both factors, for the auditor",
    "alarm": "send a test alarm by the program and the webhook that main names",
    "convert": "turn an existing authproxy.cfg into YAML, and say what in it is risky",
    "secret": "generate secrets, and encrypt them for the configuration",
    "cloud": "run and manage the embedded second-factor service",
    "schema": "print the configuration's JSON Schema, for editors",
    "support": "collect a bundle for a bug report, without secrets",
}


_CANT_BE_WRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def _overview() -> str:
    width = max(map(len, VERBS)) + 2
    lines = [f"  {verb:<{width}}{summary}" for verb, summary in VERBS.items()]
    return "commands:\n" + "\n".join(lines) + "\n\n`authproxy COMMAND --help` shows options and an example."


def shared_options() -> argparse.ArgumentParser:
    """-c can stand anywhere, before or after an action; SUPPRESS keeps the later parser from erasing it."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the configuration (.yaml, .yml, .cfg, .ini); default: $AUTHPROXY_CONFIG, else "
        "conf/authproxy.yaml, else /etc/authproxy/authproxy.yaml",
    )
    return shared


def _verb_parser(verb: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"authproxy {verb}",
        description=textwrap.fill(module.SUMMARY, 100),
        epilog=f"example:\n  {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared_options()],
    )
    module.arguments(parser)
    return parser


def _divided(words: list[str]) -> tuple[str | None, list[str]]:
    """The verb, and all other words in their order: options may stand before it or behind it."""
    for at, word in enumerate(words):
        if word in VERBS and (not at or words[at - 1] not in ("-c", "--config")):
            return word, [*words[:at], *words[at + 1 :]]
    return None, words


def _without_verb(words: list[str]) -> NoReturn:
    """Ends with help, the version, or what to type instead."""
    top = argparse.ArgumentParser(
        prog="authproxy",
        usage="authproxy [-c FILE] COMMAND [OPTION …]",
        description="A second-factor authentication proxy for RADIUS and LDAP.",
        epilog=_overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared_options()],
    )
    top.add_argument("--version", action="version", version=f"authproxy {__version__}")
    top.add_argument("verb", metavar="COMMAND", nargs="?", help=argparse.SUPPRESS)
    top.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = top.parse_args(words).verb
    if given is None:
        top.print_help(sys.stderr)
        raise SystemExit(2)
    import difflib  # noqa: PLC0415 - only a mistyped command needs it

    near = difflib.get_close_matches(given, VERBS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else "; `authproxy --help` lists the commands"
    top.error(f"{given!r} is not a command{hint}")


def _run(module: ModuleType, options: argparse.Namespace) -> int:
    code = int(module.run(options))
    if sys.stdout is not None:
        sys.stdout.flush()  # what can't be written is to be told here, not by the interpreter at its end
    return code


def _write_no_more() -> None:
    """What is still in the buffer would be tried again, and complained of, when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the process's exit code: 2 is always a usage or configuration error."""
    verb, words = _divided(list(sys.argv[1:] if argv is None else argv))
    if verb is None:
        _without_verb(words)
    # Only the verb that runs is imported: the daemon doesn't pay for the others.
    module = importlib.import_module(f"authproxy.cli.{verb.replace('-', '_')}")
    parser = _verb_parser(verb, module)
    parser.set_defaults(config=None)
    options = parser.parse_args(words)
    try:
        return _run(module, options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _write_no_more()
        return 0
    except OSError as error:
        if error.errno not in _CANT_BE_WRITTEN or error.filename is not None:
            raise
        _write_no_more()
        print(f"authproxy {verb}: the output can't be written: {error.strerror}", file=sys.stderr)
        return 1
    except EOFError:
        print(f"authproxy {verb}: standard input ended before there was an answer", file=sys.stderr)
        return 2
