"""`authproxy probe` of a section's RadSec port and certificate, with nothing running."""

from __future__ import annotations

import socket
from pathlib import Path

from authproxy.cli.finding import Level
from authproxy.cli.probe_here import probe_here
from tests.config.files import WHOLE, loaded
from tests.system.bench.daemon import free_port
from tests.system.parts.pki import make_certificate


def test_port_and_certificate(tmp_path: Path) -> None:
    files = make_certificate(tmp_path / "pki", "radsec.example", expired=True)
    port, own = free_port(), free_port()
    text = WHOLE + (
        f"  interface: 127.0.0.1\n  port: {own}\n  radsec_port: {port}\n"
        f"  radsec_certificate_file: {files.certificate}\n  radsec_key_file: {files.key}\n"
        f"  radsec_client_ca_file: {files.authority}\n"
        "  radsec_clients:\n    - {ip: 10.2.0.1, certificate: switch.example}\n"
        f"main:\n  state_dir: {tmp_path}\n  log_dir: {tmp_path}\n"
    )
    configuration = loaded(tmp_path, text)

    def levels() -> tuple[Level, Level]:
        found = {(finding.what, finding.name): finding for finding in probe_here(configuration)}
        return (
            found["port", f"radius_server_auto: tcp 127.0.0.1:{port}"].level,
            found["radius_server_auto: radsec_certificate_file", str(files.certificate)].level,
        )

    assert levels() == (Level.OK, Level.FAILED)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert levels()[0] is Level.WARN
