"""`authproxy support`: one file for a bug report, with no secret in it.

What is in it is listed when it is made: it has user names and addresses, so look before you send it.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import importlib.metadata
import io
import json
import os
import platform
import re
import ssl
import stat
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from authproxy import __version__
from authproxy.cli.admin_client import AdminClient, NotAnswering
from authproxy.cli.redaction import Blotter, listing, secrets_in
from authproxy.config.document import Entries, Scalar
from authproxy.config.find import find_config
from authproxy.config.folders import default_log_dir, default_state_dir
from authproxy.config.load import Loaded, load
from authproxy.config.problems import InvalidConfig, Report
from authproxy.config.source import read_text, read_tree
from authproxy.observe import audit, event_log
from authproxy.observe.failures import message_of

SUMMARY = (
    "Collect a bundle for a bug report: the configuration without its secrets, logs, "
    "versions, and what check and status say."
)
EXAMPLE = "authproxy support -o report.tar.gz"

_MOST_OF_A_LOG = 4 * 1024 * 1024  # octets, from its end
_LOGS = (event_log.FILE_NAME, audit.FILE_NAME)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the file to write; default: authproxy-support-TIME.tar.gz",
    )
    parser.add_argument("--no-logs", action="store_true", help="without the logs")


@dataclass(slots=True)
class Case:
    """What is known about the installation. Each part may be missing; then a bundle is needed most."""

    file: Path | None = None
    tree: Entries | None = None
    loaded: Loaded | None = None
    problems: list[str] = field(default_factory=list)
    secrets: set[bytes] = field(default_factory=set)


def run(options: argparse.Namespace) -> int:
    output = options.output or Path(time.strftime("authproxy-support-%Y%m%d-%H%M%S.tar.gz"))
    case = _case(options.config)
    parts: dict[str, Callable[[], str | bytes]] = {
        "versions.txt": _versions,
        "configuration.txt": lambda: _configuration(case),
        "check.txt": lambda: _check(case),
        "files.txt": lambda: _files(case),
        "status.json": lambda: _status(case),
    }
    if not options.no_logs:
        parts |= {f"log/{path.name}": partial(_end_of, path) for path in _logs(case)}
    made = {name: _made(part) for name, part in parts.items()}
    blotter = Blotter(case.secrets)
    try:
        _write(output, {name: blotter.blot(octets) for name, octets in made.items()})
    except OSError as error:
        print(f"authproxy support: {output}: {error.strerror}", file=sys.stderr)
        return 1
    for name, octets in made.items():
        print(f"  {name:<24} {len(octets):>9,} bytes")
    print(f"{output}: secrets are left out; user names and addresses are in it, so look before you send it")
    return 0


# ---- what is known


def _case(option: str | None) -> Case:
    case = Case()
    try:
        case.file = find_config(option, os.environ, Path.cwd())
        case.tree = read_tree(read_text(case.file), case.file, Report(str(case.file)))
        case.loaded = load(case.file)
        config = case.loaded.config
        case.secrets.update(secrets_in((config.main, *config.sections.values())))
    except InvalidConfig as invalid:
        case.problems = [str(problem) for problem in invalid.problems]
    return case


def _made(part: Callable[[], str | bytes]) -> bytes:
    """What can't be had is said in its place: the rest is worth sending all the same."""
    try:
        made = part()
    except Exception as error:  # noqa: BLE001 - each part for itself
        made = f"not to be had: {type(error).__name__}: {message_of(error)}\n"
    return made if isinstance(made, bytes) else made.encode("utf-8", "backslashreplace")


# ---- the parts


def _versions() -> str:
    lines = [
        f"authproxy {__version__}",
        f"Python {sys.version.replace(chr(10), ' ')} at {sys.executable}",
        f"{ssl.OPENSSL_VERSION}",
        f"{platform.platform()}",
        time.strftime("now %Y-%m-%dT%H:%M:%S%z"),
        f"user id {os.geteuid()}",
        "",
    ]
    names = sorted({_name_of(requirement) for requirement in importlib.metadata.requires("authproxy") or ()})
    return "\n".join([*lines, *(f"{name} {_version_of(name)}" for name in names)]) + "\n"


def _name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return found[0] if found else requirement


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _configuration(case: Case) -> str:
    if case.tree is None:
        return "none that can be read; check.txt says why\n"
    # Only the tree: what is wrong with the values doesn't matter here.
    shown = listing(case.tree)
    case.secrets |= shown.hidden
    return f"{case.file}\n" + "".join(f"{line}\n" for line in shown.lines)


def _check(case: Case) -> str:
    if case.loaded is None:
        return "".join(f"{problem}\n" for problem in case.problems)
    found = list(importlib.import_module("authproxy.service").problems_of(case.loaded))
    warnings = [warning.labelled("warning") for warning in case.loaded.warnings]
    return "".join(f"{line}\n" for line in (*found, *warnings)) or "good\n"


def _files(case: Case) -> str:
    """Who may read and write what."""
    paths = [
        path for folder in (_log_dir(case), _state_dir(case)) for path in (folder, *sorted(folder.glob("*")))
    ]
    if case.file is not None:
        paths += [case.file.absolute().parent, case.file]
    return "".join(f"{_listed(path)}\n" for path in paths)


def _listed(path: Path) -> str:
    try:
        status = path.lstat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    mode = stat.filemode(status.st_mode)
    return f"{mode} {status.st_uid:>6} {status.st_gid:>6} {status.st_size:>12} {path}"


def _status(case: Case) -> str:
    client = AdminClient.of(case.loaded.config.main) if case.loaded else None
    if client is None:
        return "main.admin is not configured\n"
    try:
        return json.dumps(client.status(), indent=1) + "\n"
    except NotAnswering as silent:
        return f"{silent}\n"


def _logs(case: Case) -> list[Path]:
    folder = _log_dir(case)
    return [path for name in _LOGS for path in (folder / name, folder / f"{name}.1") if path.is_file()]


def _end_of(path: Path) -> bytes:
    """Whole lines from the end."""
    with path.open("rb") as file:
        start = max(0, path.stat().st_size - _MOST_OF_A_LOG)
        file.seek(start)
        octets = file.read(_MOST_OF_A_LOG)
    return octets if not start else octets.partition(b"\n")[2]


def _state_dir(case: Case) -> Path:
    if case.loaded is not None:
        return case.loaded.config.main.state_dir
    return _written(case, "state_dir") or default_state_dir(os.environ)


def _log_dir(case: Case) -> Path:
    if case.loaded is not None:
        return case.loaded.config.main.log_dir
    return _written(case, "log_dir") or default_log_dir(os.environ, _state_dir(case))


def _written(case: Case, option: str) -> Path | None:
    """A folder of a configuration that can't be used, if it says one."""
    main = case.tree.get("main") if case.tree is not None else None
    value = main.get(option) if isinstance(main, Entries) else None
    if not isinstance(value, Scalar) or not value.text or case.file is None:
        return None
    return case.file.parent / value.text


# ---- the file


def _write(output: Path, parts: dict[str, bytes]) -> None:
    """A new file that only its owner can read. Raises OSError."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    folder = output.name.removesuffix(".tar.gz")
    with (
        os.fdopen(descriptor, "wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb") as zipped,
        tarfile.open(fileobj=zipped, mode="w") as bundle,
    ):
        for name, octets in parts.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(octets), int(time.time()), 0o600
            bundle.addfile(entry, io.BytesIO(octets))
