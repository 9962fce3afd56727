"""The daemon's resolver, by a file that the test writes: what getaddrinfo says of a name.

Planted where the daemon calls the C library, because a resolver of our own would take a mount namespace.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

PLANTED = """
import json, os, socket, time

_real = socket.getaddrinfo
_answers = {path!r}


def getaddrinfo(host, port, *given, **named):
    with open(_answers) as file:
        answer = json.load(file).get(host)
    if answer is None:
        return _real(host, port, *given, **named)
    if answer == "timeout":
        time.sleep(15)  # as the C library does with a server that says nothing: three times five seconds
    if answer in ("timeout", "SERVFAIL"):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    if answer == "NXDOMAIN":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, 0))]


socket.getaddrinfo = getaddrinfo
"""


class Resolver:
    """`env` is for the daemon; `set` may be called while it runs. A name that isn't there is asked of the system."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._file = folder / "answers.json"
        self._answers: dict[str, str] = {}
        self.set()
        (folder / "sitecustomize.py").write_text(PLANTED.format(path=str(self._file)))
        self.env = {"PYTHONPATH": str(folder)}

    def set(self, **answers: str) -> None:
        """An address, or how the look-up fails. Underscores stand for dots."""
        self.update({name.replace("_", "."): answer for name, answer in answers.items()})

    def update(self, answers: dict[str, str]) -> None:
        self._answers |= answers
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self._answers))
        os.replace(fresh, self._file)
