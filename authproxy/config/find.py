"""Which file to read if several are possible."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from authproxy.config.problems import InvalidConfig, Problem

SYSTEM = Path("/etc/authproxy")


def find_config(option: str | None, environ: Mapping[str, str], folder: Path, system: Path = SYSTEM) -> Path:
    """`-c`, else `$AUTHPROXY_CONFIG`, else `conf/authproxy.yaml` under the folder, else the system's.

    Raises InvalidConfig when there is none of them. One that was named is not looked for here.
    """
    if named := option or environ.get("AUTHPROXY_CONFIG"):
        return Path(named)
    candidates = (folder / "conf" / "authproxy.yaml", system / "authproxy.yaml")
    for candidate in candidates:
        if _is_there(candidate):
            return candidate
    raise InvalidConfig([Problem(str(candidates[0]), 0, "", "", _nothing(candidates))])


def _nothing(candidates: tuple[Path, ...]) -> str:
    for candidate in candidates:
        if _is_there(existing := candidate.with_suffix(".cfg")):
            return f"doesn't exist, but {existing} does: choose it with -c {existing}"
    return f"doesn't exist, and neither does {candidates[-1]}: name a file with -c, or try `authproxy demo`"


def _is_there(path: Path) -> bool:
    """Also when it can't be looked at: then that is the problem to tell."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True
