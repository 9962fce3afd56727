"""A network namespace with nothing in it but its loopback: ports of its own, and no way out."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.system.parts.needs import missing, needs

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)


class Namespace:
    """`with Namespace() as inside: …`. Skips the test where it may not be made, and fails it when CI=true."""

    def __init__(self) -> None:
        self._ip = needs("ip", "iproute2")
        self.name = f"authproxy-test-{os.getpid()}-{next(_numbers)}"

    def __enter__(self) -> Self:
        made = subprocess.run(
            [self._ip, "netns", "add", self.name], capture_output=True, text=True, check=False
        )
        if made.returncode:
            missing(
                f"a network namespace can't be made (it takes root and CAP_SYS_ADMIN): {made.stderr.strip()}"
            )
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([self._ip, "netns", "del", self.name], check=True)

    def ip(self, *arguments: str) -> None:
        """`ip` inside."""
        subprocess.run([self._ip, "-n", self.name, *arguments], check=True)

    def join(self, here: str, other: Namespace, there: str) -> None:
        """A cable between two of them, plugged in at both ends."""
        self.ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", other.name)
        self.ip("link", "set", here, "up")
        other.ip("link", "set", there, "up")

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command that runs this one there."""
        return [self._ip, "netns", "exec", self.name, *command]

    def udp_socket(self, port: int) -> socket.socket:
        """On its loopback, for us who are outside: a socket stays where it was made."""
        made: list[socket.socket] = []

        def make() -> None:
            # A thread that ends right after: nothing else of this process moves over.
            library = ctypes.CDLL(None, use_errno=True)
            with Path(f"/run/netns/{self.name}").open() as handle:
                if library.setns(handle.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind(("127.0.0.1", port))
            made.append(one)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]
