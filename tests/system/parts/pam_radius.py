"""libpam-radius-auth as the service of pamtester and of sshd. Nothing under /etc changes: pam_wrapper shows ours."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Self

from tests.system.parts.needs import needs, needs_library
from tests.system.parts.process import Process, free_port
from tests.system.parts.terminal import Shown, type_in

PASSWORD_PROMPT = r"[Pp]assword: ?$"


class PamRadius:
    """`timeout`: seconds that the module waits for an answer. `options`: of the module."""

    def __init__(self, folder: Path, port: int, secret: str, *, timeout: int = 30, options: str = "") -> None:
        self._pamtester = needs("pamtester", "pamtester")
        self._module = needs_library("security/pam_radius_auth.so", "libpam-radius-auth")
        self._wrapper = needs_library("libpam_wrapper.so", "libpam-wrapper")
        self._folder = folder.resolve()
        services = self._folder / "services"
        services.mkdir(parents=True)
        servers = self._folder / "servers"
        servers.touch(mode=0o600)
        servers.write_text(f"127.0.0.1:{port} {secret} {timeout}\n")
        policy = (
            f"auth required {self._module} conf={servers} {options}\n"
            "account required pam_permit.so\nsession required pam_permit.so\n"
        )
        for service in ("radius", "sshd", "other"):
            (services / service).write_text(policy)
        self._env = {
            "LD_PRELOAD": str(self._wrapper),
            "PAM_WRAPPER": "1",
            "PAM_WRAPPER_SERVICE_DIR": str(services),
        }

    @property
    def env(self) -> dict[str, str]:
        """For another program that shall see these services."""
        return dict(self._env)

    def log_in(self, user: str, *typed: tuple[str, str]) -> Shown:
        """pamtester authenticates; `typed`: prompts and answers."""
        return type_in([self._pamtester, "radius", user, "authenticate"], typed, env=self._env)


class Sshd:
    """`with Sshd(folder, pam) as sshd: …`. Lets in the account that runs the tests: no other exists everywhere."""

    def __init__(self, folder: Path, pam: PamRadius) -> None:
        self._program = needs("sshd", "openssh-server")
        self._ssh = needs("ssh", "openssh-client")
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._pam = pam
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.port = free_port()
        self.process: Process | None = None

    def __enter__(self) -> Self:
        key, config = self._folder / "key", self._folder / "sshd_config"
        subprocess.run(
            [needs("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)],
            check=True,
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # what it separates its privileges in
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {key}\nPidFile none\nUsePAM yes\n"
            "PasswordAuthentication no\nPubkeyAuthentication no\nKbdInteractiveAuthentication yes\n"
            "PermitRootLogin yes\nLogLevel VERBOSE\n"
        )
        self.process = Process(
            (self._program, "-D", "-e", "-f", str(config)), self._folder / "sshd.log", self._pam.env
        )
        self.process.wait_for_port("127.0.0.1", self.port)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.stop()

    def log_in(self, *typed: tuple[str, str]) -> Shown:
        """A real client at a real terminal; accepted when the exit code is the command's, 0."""
        options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "PreferredAuthentications=keyboard-interactive",
            "NumberOfPasswordPrompts=1",
        ]
        command = [self._ssh, "-F", "none", "-p", str(self.port), *(f"-o{option}" for option in options)]
        return type_in([*command, f"{self.user}@127.0.0.1", "true"], typed)
