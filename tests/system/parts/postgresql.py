"""PostgreSQL whose logins go to a RADIUS server, with a database of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.system.parts.needs import needs
from tests.system.parts.process import Process, free_port


class PostgreSql:
    """`with PostgreSql(radius_port, secret) as server: …`. Where root starts it, it runs as its own user."""

    def __init__(self, radius_port: int, secret: str) -> None:
        folders = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
        self._bin = Path(needs("postgres", "postgresql", *folders)).parent
        self._psql = needs("psql", "postgresql-client")
        # Its user can't look into a folder that is ours alone.
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql"))
        self._as = (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if not os.getuid() else []
        )
        self._radius = f"radiusservers=127.0.0.1 radiusports={radius_port} radiussecrets={secret}"
        self.port = free_port()
        self.process: Process | None = None

    def __enter__(self) -> Self:
        if self._as:
            shutil.chown(self._folder, "postgres")
        data = self._folder / "data"
        self._run([str(self._bin / "initdb"), "--auth=trust", "--no-sync", f"--pgdata={data}"])
        (data / "pg_hba.conf").write_text(
            f"local all all trust\nhost all all 127.0.0.1/32 radius {self._radius}\n"
        )
        command = [*self._as, str(self._bin / "postgres"), "-D", str(data), "-p", str(self.port), "-F"]
        log = self._folder / "postgresql.log"
        self.process = Process([*command, "-h", "127.0.0.1", "-k", str(self._folder)], log)
        self.process.wait_for_port("127.0.0.1", self.port)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.stop()
        shutil.rmtree(self._folder)

    @property
    def log(self) -> str:
        return (self._folder / "postgresql.log").read_text(errors="replace")

    def add_role(self, name: str) -> None:
        self._run(
            [
                self._psql,
                "-h",
                str(self._folder),
                "-p",
                str(self.port),
                "-c",
                f'create role "{name}" login',
                "postgres",
            ]
        )

    def log_in(self, user: str, password: str) -> bool:
        """By psql, which asks who it is."""
        command = [
            self._psql,
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            user,
            "-Atc",
            "select current_user",
            "postgres",
        ]
        ended = subprocess.run(
            command,
            env=os.environ | {"PGPASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return ended.returncode == 0 and ended.stdout.strip() == user

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            [*self._as, *command], cwd="/", capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
