"""basic_radius_auth, the helper that squid asks about names and passwords: a line in, a line out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests.system.parts.needs import needs


class SquidRadius:
    """`with SquidRadius(folder, port, secret) as helper: …`. `timeout`: seconds that it waits for an answer."""

    def __init__(self, folder: Path, port: int, secret: str, *, timeout: int = 30) -> None:
        self._program = needs("basic_radius_auth", "squid", "/usr/lib/squid", "/usr/libexec/squid")
        self._config = folder / "radius.conf"
        self._config.touch(mode=0o600)
        self._config.write_text(f"server 127.0.0.1\nport {port}\nsecret {secret}\ntimeout {timeout}\n")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [self._program, "-f", str(self._config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)

    def log_in(self, user: str, password: str) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{quote(user)} {quote(password)}\n")
        return self._process.stdout.readline().startswith("OK")
