"""What is done once to the process: limits, no core dumps, change of the user (S8, S10)."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import resource
from pathlib import Path

from authproxy.values import light_dataclass

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>
PRIVATE = 0o077


class CannotBecome(Exception):
    """There is no such user, or this process may not become it; the administrator has to act."""


@light_dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int


def keep_standard_descriptors() -> None:
    """Where a parent has closed them, /dev/null: no socket of ours gets their numbers, and with them our words.

    To be called before anything is opened.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def harden() -> None:
    """Make new files private, switch core files off (they would contain passwords), raise the limit of descriptors
    (A8).
    """
    os.umask(PRIVATE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _forbid_dumps()


def account(name: str) -> Account:
    """The user's account. Raises CannotBecome."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise CannotBecome(f"there is no user {name}") from None
    return Account(name, entry.pw_uid, entry.pw_gid)


def become(user: Account, folders: tuple[Path, ...]) -> None:
    """Give `folders` to the user if they are new, then become that user for good. Raises CannotBecome."""
    try:
        for folder in folders:
            if not folder.exists():
                folder.mkdir(mode=0o750, parents=True)
                # Whoever may write above it must not have us give away what a link there leads to.
                os.chown(folder, user.uid, user.gid, follow_symlinks=False)
        groups = os.getgrouplist(user.name, user.gid)
        os.setgroups(groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise CannotBecome(f"can't become {user.name}: {where}{error.strerror}") from None
    # The kernel sets it back when the user changes.
    _forbid_dumps()


def identity() -> str:
    """The process's user and number, for the log."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        return f"{pwd.getpwuid(uid).pw_name}:{grp.getgrgid(gid).gr_name}"
    except KeyError:
        return f"{uid}:{gid}"


def _forbid_dumps() -> None:
    """Best effort: where there is no prctl there is the limit on core files."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
