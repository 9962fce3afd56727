"""Names that resolve as a test says, for one process: nss_wrapper before the C library."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.system.parts.needs import needs_library


class Names:
    """`env` is for the process; `set` may be called while it runs. A name that isn't there doesn't exist."""

    def __init__(self, folder: Path) -> None:
        wrapper = needs_library("libnss_wrapper.so", "libnss-wrapper")
        self._hosts = folder / "hosts"
        self._hosts.write_text("")
        self.env = {"LD_PRELOAD": str(wrapper), "NSS_WRAPPER_HOSTS": str(self._hosts)}

    def set(self, **addresses: str) -> None:
        """Underscores stand for dots. nss_wrapper sees that the file has changed by a later second."""
        lines = [f"{address} {name.replace('_', '.')}\n" for name, address in addresses.items()]
        self._hosts.write_text("".join(lines))
        later = time.time() + 1 + self._hosts.stat().st_mtime % 1
        os.utime(self._hosts, (later, later))
