"""Default folders: systemd's, else the system's for root, else the user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from authproxy.config.document import Entries, Scalar

CFG_SUFFIXES = frozenset({".cfg", ".ini"})


def state_dir_of(tree: Entries, folder: Path, environ: Mapping[str, str]) -> Path:
    """`main.state_dir`, found before anything else is read, because it contains the key to sealed secrets."""
    main = tree.get("main")
    given = main.get("state_dir") if isinstance(main, Entries) else None
    if isinstance(given, Scalar) and given.text and given.text.isprintable():
        return folder / given.text
    return default_state_dir(environ)


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """systemd's folder, else the system's for root, else the user's own."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/authproxy")
    home = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "/")) / ".local" / "state"
    return Path(home) / "authproxy"


def log_folder_of(path: Path) -> Path:
    """The folder to which a relative log_dir is relative: in the existing product, the one above `conf`."""
    folder = path.absolute().parent
    return folder.parent if path.suffix.lower() in CFG_SUFFIXES and folder.name == "conf" else folder


def default_log_dir(environ: Mapping[str, str], state_dir: Path) -> Path:
    """systemd's folder, else the system's for root, else below the state."""
    if given := environ.get("LOGS_DIRECTORY"):
        return Path(given.split(":")[0])
    return Path("/var/log/authproxy") if os.geteuid() == 0 else state_dir / "log"
