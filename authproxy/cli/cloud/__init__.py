"""`authproxy cloud`: the embedded second-factor service and its data."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from authproxy.cli.cloud.output import Failed, complain, default_folder

SUMMARY = (
    "Run and manage the embedded second-factor service: an API that the proxy (and other "
    "clients of Auth API v2) calls over HTTPS, with a phone page on which users approve "
    "logins. For trials, labs and sites without a vendor."
)
EXAMPLE = (
    "authproxy cloud application add vpn\n"
    "  authproxy cloud user add alice --invite\n"
    "  authproxy cloud serve --listen 0.0.0.0:8443 --name cloud.corp.example"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="thing", metavar="WHAT", required=True)
    importlib.import_module("authproxy.cli.cloud.serve").arguments(actions, _shared())
    for name in ("applications", "users", "devices", "pushes", "administrators"):
        importlib.import_module(f"authproxy.cli.cloud.{name}").arguments(actions, _shared())


def run(options: argparse.Namespace) -> int:
    try:
        return int(options.does(options))
    except Failed as failed:
        return complain(str(failed))


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data",
        type=Path,
        default=default_folder(),
        metavar="FOLDER",
        help="the folder with all of the service's data; default %(default)s",
    )
    shared.add_argument("--json", action="store_true", help="print JSON, for programs")
    return shared
