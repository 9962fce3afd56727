"""Runs the daemon, and tells how much of its memory is in use: `inside.py SOCKET PYTHON -m authproxy run -c FILE`.

Of a process's resident memory only a part is in use. The rest is what its allocators keep for later: as much as the
busiest moment needed, and so it grows for hours without a leak. What is in use they tell only from within: the
daemon's own code runs unchanged, beside a thread that answers whoever asks at the socket.

Run by its path: neither the daemon nor this file finds anything in this folder.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import runpy
import socket
import sys
import tempfile
import threading

_IN_BLOCKS = re.compile(r"# bytes in allocated blocks\s+=\s+([0-9,]+)")


class Mallinfo2(ctypes.Structure):
    """mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()  # noqa: SIM905
        )
    )


def of_malloc(libc: ctypes.CDLL) -> int:
    """Octets: OpenSSL's, and Python's objects of more than 512."""
    libc.mallinfo2.restype = Mallinfo2
    info = libc.mallinfo2()
    return int(info.uordblks + info.hblkhd)


def of_python(libc: ctypes.CDLL) -> int:
    """Octets of Python's smaller objects. It tells them on C's stderr alone, which is another file for that moment: the
    daemon's own lines don't go by C's.
    """
    libc.fopen.restype = ctypes.c_void_p
    stderr = ctypes.c_void_p.in_dll(libc, "stderr")
    with tempfile.NamedTemporaryFile() as said:
        file, before = ctypes.c_void_p(libc.fopen(said.name.encode(), b"w")), stderr.value
        stderr.value = file.value
        try:
            sys._debugmallocstats()
        finally:
            stderr.value = before
            libc.fclose(file)
        found = _IN_BLOCKS.search(said.read().decode())
    if found is None:
        raise OSError("Python's words for its memory have changed")
    return int(found[1].replace(",", ""))


def answer(listening: socket.socket) -> None:
    libc = ctypes.CDLL(None)
    while True:
        asking = listening.accept()[0]
        with asking:
            gc.collect()  # what waits for nothing but that is no leak
            asking.sendall(str(of_malloc(libc) + of_python(libc)).encode())


def main() -> None:
    path, _, _, module, *arguments = sys.argv[1:]
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    threading.Thread(target=answer, args=(listening,), daemon=True, name="figures").start()
    sys.path[0] = os.getcwd()  # as with `python -m`
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
