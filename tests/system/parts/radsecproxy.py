"""radsecproxy on loopback: RADIUS by UDP on one side, over TLS on the other."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Self

from tests.system.parts.needs import needs
from tests.system.parts.pki import Files
from tests.system.parts.process import NotStarted, Process

_CONF = """\
{listen}
LogLevel 2
LogDestination file://{folder}/radsecproxy.log
LoopPrevention off
tls default {{
  CACertificateFile {authority}
  CertificateFile {certificate}
  CertificateKeyFile {key}
}}
client in {{
  host 127.0.0.0/8
  type {taken}
  secret {secret_in}
{client_more}
}}
server out {{
  host {to_address}
  port {to_port}
  type {handed}
  secret {secret_out}
  StatusServer {status}
}}
realm * {{
  server out
  accountingServer out
}}
"""


class RadSecProxy:
    """Takes on `listen` and hands on to `to`, both ADDRESS and PORT; `over_tls` says which side is TLS.

    `files`: its own certificate. `trust`: the authority of the other side's. `secret`: of the UDP side.
    """

    def __init__(
        self,
        folder: Path,
        listen: tuple[str, int],
        to: tuple[str, int],
        *,
        over_tls: str,
        files: Files,
        trust: Path,
        secret: str,
        status: str = "off",
    ) -> None:
        self._program = needs("radsecproxy", "radsecproxy")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._listen, self._over_tls = listen, over_tls
        taken = "tls" if over_tls == "in" else "udp"
        handed = "udp" if over_tls == "in" else "tls"
        (self._folder / "conf").write_text(
            _CONF.format(
                listen=f"Listen{taken.upper()} {listen[0]}:{listen[1]}",
                folder=self._folder,
                authority=trust,
                certificate=files.certificate,
                key=files.key,
                taken=taken,
                handed=handed,
                secret_in="radsec" if over_tls == "in" else secret,
                secret_out=secret if over_tls == "in" else "radsec",
                client_more="  CertificateNameCheck off" if over_tls == "in" else "",
                to_address=to[0],
                to_port=to[1],
                status=status,
            )
        )
        self.process: Process | None = None

    @property
    def log(self) -> str:
        path = self._folder / "radsecproxy.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        command = (self._program, "-f", "-c", str(self._folder / "conf"), "-i", str(self._folder / "pid"))
        self.process = Process(command, self._folder / "output.log")
        address, port = self._listen
        if self._over_tls == "in":
            self.process.wait_for_port(address, port)
            return
        until = time.monotonic() + 10
        while not _is_bound(address, port):
            if time.monotonic() > until:
                raise NotStarted(f"radsecproxy doesn't listen:\n{self.log[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None


def _is_bound(address: str, port: int) -> bool:
    listed = subprocess.run(["ss", "-Hlun"], capture_output=True, text=True, check=True).stdout
    return f"{address}:{port} " in listed
