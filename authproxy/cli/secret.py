"""`authproxy secret`: makes secrets, and seals existing ones for this machine. A secret is never an argument."""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import string
import sys
from pathlib import Path

from authproxy.cli import shared_options
from authproxy.config.find import find_config
from authproxy.config.folders import default_state_dir, state_dir_of
from authproxy.config.problems import InvalidConfig, Report
from authproxy.config.reading import SecretUnavailable
from authproxy.config.sealing import KEY_FILE, SealingKey, find_key, make_key, seal
from authproxy.config.source import read_text, read_tree
from authproxy.secret import Secret

SUMMARY = (
    "Generate secrets, or encrypt them so that the configuration can contain them; only this "
    "machine can decrypt them."
)
EXAMPLE = "authproxy secret protect < skey.txt"

_LETTERS = string.ascii_letters + string.digits


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    generate = actions.add_parser(
        "generate", parents=[shared_options()], help="print a random secret, for example for a RADIUS client"
    )
    generate.add_argument(
        "--length",
        type=_length,
        default=32,
        metavar="N",
        help="how many letters and digits, 16 to 128; default 32",
    )
    protect = actions.add_parser(
        "protect",
        parents=[shared_options()],
        help="encrypt a secret from the terminal or standard input; prints {protected: …} for the "
        "configuration",
    )
    protect.add_argument(
        "--state-dir",
        type=Path,
        metavar="FOLDER",
        help="the folder of the key, which is made if there is none; default: main.state_dir of the "
        "configuration",
    )


def _length(text: str) -> int:
    number = int(text)
    if not 16 <= number <= 128:
        raise argparse.ArgumentTypeError("16 to 128")
    return number


def run(options: argparse.Namespace) -> int:
    if options.action == "generate":
        print("".join(secrets.choice(_LETTERS) for _ in range(options.length)))
        return 0
    try:
        state_dir = options.state_dir or _state_dir(options.config)
        key = _key(state_dir)
        secret = _ask()
    except InvalidConfig as invalid:
        print(invalid, file=sys.stderr)
        return 2
    except SecretUnavailable as unavailable:
        print(unavailable, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'the key'}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{{protected: {seal(secret, key)}}}")
    return 0


def _state_dir(config: str | None) -> Path:
    """Of the configuration, whatever else may be wrong in it: it is about to get its secrets."""
    try:
        path = find_config(config, os.environ, Path.cwd())
    except InvalidConfig:
        return default_state_dir(os.environ)
    tree = read_tree(read_text(path), path, Report(str(path)))
    return state_dir_of(tree, path.absolute().parent, os.environ)


def _key(state_dir: Path) -> SealingKey:
    try:
        make_key(state_dir)
        print(f"made a new key, {state_dir / KEY_FILE}", file=sys.stderr)
    except FileExistsError:
        pass
    return find_key(state_dir, os.environ)


def _ask() -> Secret:
    """From the terminal without an echo, twice; else all of standard input but its last line end."""
    if sys.stdin.isatty():
        secret = getpass.getpass("secret: ")
        if secret != getpass.getpass("again: "):
            raise SecretUnavailable("the two secrets that you typed are different")
        octets = secret.encode()
    else:
        octets = sys.stdin.buffer.read(64 * 1024).removesuffix(b"\n").removesuffix(b"\r")
    if not octets:
        raise SecretUnavailable("there was no secret on standard input")
    return Secret(octets)
