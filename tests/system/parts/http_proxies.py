"""Outbound HTTP proxies: squid and tinyproxy for CONNECT to loopback, with Basic authentication or none."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.system.parts.needs import needs
from tests.system.parts.process import Process, free_port


@dataclass(frozen=True, slots=True)
class HttpProxy:
    port: int
    access_log: Path

    def log(self) -> str:
        return self.access_log.read_text() if self.access_log.exists() else ""


@contextlib.contextmanager
def _running(command: list[str], proxy: HttpProxy) -> Iterator[HttpProxy]:
    process = Process(command, proxy.access_log.with_name("output.log"))
    try:
        process.wait_for_port("127.0.0.1", proxy.port)
        yield proxy
    finally:
        process.stop()


@contextlib.contextmanager
def tinyproxy(folder: Path, user: str = "", password: str = "") -> Iterator[HttpProxy]:
    """Wants the user and password when there are any: 407 without, 401 with wrong ones."""
    program = needs("tinyproxy", "tinyproxy")
    folder.mkdir(parents=True, exist_ok=True)
    proxy = HttpProxy(free_port(), folder / "access.log")
    lines = [
        f"Port {proxy.port}",
        "Listen 127.0.0.1",
        "Allow 127.0.0.1",
        f'LogFile "{proxy.access_log}"',
        "LogLevel Info",
        "Timeout 120",
        "MaxClients 100",
        *([f"BasicAuth {user} {password}"] if user else []),
    ]
    config = folder / "tinyproxy.conf"
    config.write_text("\n".join(lines) + "\n")
    with _running([program, "-d", "-c", str(config)], proxy):
        yield proxy


@contextlib.contextmanager
def squid(folder: Path, user: str = "", password: str = "", *, allow: bool = True) -> Iterator[HttpProxy]:
    """Wants the user and password when there are any; `allow` False: 403 for every CONNECT."""
    program = needs("squid", "squid")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)  # squid drops to a user of its own
    for parent in folder.parents:
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    proxy = HttpProxy(free_port(), folder / "access.log")
    lines = [
        f"http_port 127.0.0.1:{proxy.port}",
        f"pid_filename {folder / 'squid.pid'}",
        f"cache_log {folder / 'cache.log'}",
        f"access_log stdio:{proxy.access_log}",
        "cache deny all",
        f"coredump_dir {folder}",
        "shutdown_lifetime 0 seconds",
        "visible_hostname proxy.test",
        "pinger_enable off",
        "acl loopback dst 127.0.0.0/8 ::1",
    ]
    if user:
        entry = subprocess.run(
            ["openssl", "passwd", "-apr1", "-stdin"],
            input=password,
            check=True,
            capture_output=True,
            text=True,
        )
        (folder / "passwd").write_text(f"{user}:{entry.stdout}")
        lines += [
            f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder / 'passwd'}",
            "auth_param basic realm proxy",
            "acl known proxy_auth REQUIRED",
            "http_access deny !known",
        ]
    lines += ["http_access allow loopback"] if allow else []
    config = folder / "squid.conf"
    config.write_text("\n".join([*lines, "http_access deny all"]) + "\n")
    with _running([program, "-N", "-f", str(config)], proxy):
        yield proxy
