"""Who else can read or write the files on which logins depend (S4)."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from authproxy.values import light_dataclass


class Exposure(Enum):
    WRITABLE = "writable"  # others can change what we do
    READABLE = "readable"  # others can read what we keep secret


@light_dataclass(frozen=True, slots=True)
class Exposed:
    exposure: Exposure
    what: str


def exposures(path: Path, *, secret: bool) -> Iterator[Exposed]:
    """What is wrong with the permissions of a file and of the folders above it. `secret`: reading it matters."""
    try:
        resolved = path.resolve(strict=True)
        status = resolved.stat()
        folders = [(folder, folder.stat()) for folder in resolved.parents]
    except OSError:
        return  # whoever opens the file says what is wrong
    if others := _writers(status):
        yield Exposed(Exposure.WRITABLE, f"{path} can be changed by {others}: chmod go-w {path}")
    for folder, folder_status in folders[:1]:  # the root folder is in none
        if not folder_status.st_mode & stat.S_ISVTX and (others := _writers(folder_status)):
            yield Exposed(Exposure.WRITABLE, f"{path} can be replaced by {others}: chmod go-w {folder}")
    for above, above_status in folders[1:]:
        if above_status.st_mode & stat.S_IWOTH and not above_status.st_mode & stat.S_ISVTX:
            yield Exposed(Exposure.WRITABLE, f"{path} can be replaced by everyone: chmod o-w {above}")
    if secret and status.st_mode & stat.S_IROTH and not _closed(folders):
        yield Exposed(Exposure.READABLE, f"{path} can be read by everyone: chmod o-r {path}")


def state_exposures(folder: Path) -> Iterator[Exposed]:
    """The same of `main.state_dir`, if it is there: its keys seal challenges and orders, its latches let doors open."""
    found = list(exposures(folder, secret=False))
    if not found:
        with contextlib.suppress(OSError):
            for path in sorted(folder.iterdir()):
                found.extend(exposures(path, secret=True) if path.is_file() else ())
    yield from found


def _closed(folders: list[tuple[Path, os.stat_result]]) -> bool:
    """A folder that others can't enter hides what is in it."""
    return any(not status.st_mode & stat.S_IXOTH for _, status in folders)


def _writers(status: os.stat_result) -> str:
    """Who beside the owner and root can write; '' when nobody."""
    if status.st_mode & stat.S_IWOTH:
        return "everyone"
    if status.st_mode & stat.S_IWGRP and not _private_group(status):
        return f"the group {_group_name(status.st_gid)}"
    return ""


def _private_group(status: os.stat_result) -> bool:
    """Root's group, or the owner's own that nobody else is in (Debian's user private groups)."""
    if status.st_gid == 0:
        return True
    try:
        group = grp.getgrgid(status.st_gid)
        owner = pwd.getpwuid(status.st_uid)
    except KeyError:
        return False
    return (
        group.gr_gid == owner.pw_gid
        and group.gr_name == owner.pw_name
        and set(group.gr_mem) <= {owner.pw_name}
    )


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
