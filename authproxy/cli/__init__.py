"""The verbs, one module each. A verb has SUMMARY, EXAMPLE, `arguments(parser)` and `run(options) -> exit code`."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from authproxy import __version__

# The order is the order of `--help`: how a newcomer meets them.
VERBS = {
    "demo": "the whole on this machine with nothing else installed: directory, cloud, phone page, proxy",
    "run": "the daemon, in the foreground",
    "check": "read the configuration and name every problem; binds nothing",
    "probe": "try it: cloud, clock, directories, TLS and ports, a line each",
    "login": "one login through the running proxy, as a client of it",
    "status": "what the running proxy does now",
    "primary-only": "switch the second factor off for a while, in safe sections",
    "explain": "which rules a user meets in a section, now and in an outage",
    "paths": "every way in without a second factor, for the auditor",
    "alarm": "send a test alarm by the ways that main names",
    "convert": "turn an existing authproxy.cfg into YAML and say what in it is risky",
    "secret": "generate and protect secrets",
    "cloud": "the embedded second-factor service",
    "schema": "the configuration's JSON Schema, for editors",
    "support": "a redacted bundle for a bug report",
}


def _overview() -> str:
    width = max(map(len, VERBS)) + 2
    lines = [f"  {verb:<{width}}{summary}" for verb, summary in VERBS.items()]
    return "commands:\n" + "\n".join(lines) + "\n\n`authproxy COMMAND --help` shows options and an example."


def shared_options() -> argparse.ArgumentParser:
    """-c may stand anywhere, before and behind an action as well; SUPPRESS keeps the later parser from erasing it."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the configuration (.yaml, .yml, .cfg, .ini); default $AUTHPROXY_CONFIG, "
        "conf/authproxy.yaml, /etc/authproxy/authproxy.yaml",
    )
    return shared


def _verb_parser(verb: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"authproxy {verb}",
        description=module.SUMMARY,
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
    near = difflib.get_close_matches(given, VERBS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else "; `authproxy --help` lists the commands"
    top.error(f"{given!r} is no command{hint}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Its exit code is the process's: 2 is always a usage or configuration error."""
    verb, words = _divided(list(sys.argv[1:] if argv is None else argv))
    if verb is None:
        _without_verb(words)
    # Only the verb that runs is imported: the daemon doesn't pay for the others.
    module = importlib.import_module(f"authproxy.cli.{verb.replace('-', '_')}")
    parser = _verb_parser(verb, module)
    parser.set_defaults(config=None)
    options = parser.parse_args(words)
    try:
        return int(module.run(options))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
