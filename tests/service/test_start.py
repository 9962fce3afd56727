"""What a daemon without main.admin doesn't load: each of these costs every start some of its time and memory."""

from __future__ import annotations

import subprocess
import sys

NEEDLESS = (
    "prometheus_client",
    "twisted.internet.endpoints",
    "twisted.web",
    "requests",
    "ldap3",
    "pyrad",
    "difflib",
    "statistics",
    "logging.handlers",
    "authproxy.listeners.ldap.listener",
    "authproxy.listeners.http_proxy.listener",
)


def test_a_start_loads_no_more_than_it_needs() -> None:
    code = (
        "import sys, authproxy.cli.run; from authproxy.service import daemon, reactor; reactor.install();"
        f"print([name for name in {NEEDLESS} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
