"""802.1X logins by eapol_test of wpa_supplicant, which checks the session keys that the NAS gets."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.system.parts.needs import needs


@dataclass(frozen=True, slots=True)
class Heard:
    """`keys`: the NAS has the same keys as the user's device."""

    accepted: bool
    keys: bool
    text: str

    @property
    def failure(self) -> bool:
        """EAP itself said no, rather than nobody answering."""
        return "EAP-FAILURE" in self.text or "EAP: Received EAP-Failure" in self.text


def eapol(
    folder: Path,
    method: str,
    user: str,
    password: str,
    *,
    port: int,
    secret: str,
    authority: Path | None = None,
    outer: str = "anonymous",
    phase1: str = "",
    fragment: int = 0,
    attributes: Sequence[str] = (),
    timeout: int = 20,
) -> Heard:
    """`method`: peap-gtc, ttls-pap, peap-mschapv2, md5, …; `fragment`: octets of one EAP packet at most;

    `attributes`: more of them in each request, as NUMBER:SYNTAX:VALUE.
    """
    program = needs("eapol_test", "eapoltest")
    kind, _, inner = method.partition("-")
    lines = ["key_mgmt=WPA-EAP", f"eap={kind.upper()}", f'identity="{user}"', f'password="{password}"']
    if inner:
        lines += [f'anonymous_identity="{outer}"', f'phase2="auth={inner.upper()}"']
    if phase1:
        lines.append(f'phase1="{phase1}"')
    if authority is not None:
        lines.append(f'ca_cert="{authority}"')
    if fragment:
        lines.append(f"fragment_size={fragment}")
    config = folder / "eapol.conf"
    config.touch(mode=0o600)
    config.write_text("network={\n" + "".join(f" {line}\n" for line in lines) + "}\n")
    command = [program, "-c", str(config), "-a", "127.0.0.1", "-p", str(port), "-s", secret]
    command += ["-t", str(timeout), "-r", "0", *([] if inner else ["-n"])]
    command += [f"-N{attribute}" for attribute in attributes]
    ended = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, timeout=timeout + 10
    )
    text = ended.stdout + ended.stderr
    keys = re.search(r"MPPE keys OK: (\d+)\s+mismatch: (\d+)", text)
    return Heard(ended.returncode == 0, keys is not None and keys.groups() == ("1", "0"), text)
