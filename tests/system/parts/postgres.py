"""PostgreSQL, whose logins go where a line of pg_hba.conf says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tests.system.parts.needs import missing, needs
from tests.system.parts.process import Process, free_port


class Postgres:
    """`method`: the end of pg_hba.conf's line. `folder` has to be open to other users: postgres is one."""

    def __init__(self, folder: Path, method: str, roles: Iterable[str], ca: Path) -> None:
        self._psql = needs("psql", "postgresql")
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not programs:
            needs("postgres", "postgresql")
        if os.geteuid() != 0:
            missing("PostgreSQL has to be run as another user, which takes root")
        self._bin = programs[-1]
        self._folder, self._roles = folder, roles
        self.port = free_port()
        shutil.chown(folder, "postgres")
        (folder / "ldaprc").write_text(f"TLS_CACERT {ca}\n")
        self._as_postgres(self._bin / "initdb", "-A", "trust", "-D", folder / "data", "--no-sync")
        hba = f"local all postgres peer\nhost all all 127.0.0.1/32 {method}\n"
        (folder / "data" / "pg_hba.conf").write_text(hba)

    def _as_postgres(self, *command: object) -> None:
        words = ("runuser", "-u", "postgres", "--", *map(str, command))
        done = subprocess.run(words, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def __enter__(self) -> Self:
        command = (
            *("runuser", "-u", "postgres", "--", self._bin / "postgres", "-D", self._folder / "data"),
            *("-p", self.port, "-h", "127.0.0.1", "-k", self._folder, "-c", "fsync=off"),
        )
        env = {"LDAPCONF": str(self._folder / "ldaprc")}
        self._process = Process([str(word) for word in command], self._folder / "postgres.log", env)
        self._process.wait_for_port("127.0.0.1", self.port)
        # The port is open before it takes connections.
        ready = f"until {self._psql} -qh {self._folder} -p {self.port} -c ''; do sleep 0.05; done"
        self._as_postgres("timeout", "20", "sh", "-c", ready)
        for role in self._roles:
            create = f"create role {role} login"
            self._as_postgres(self._psql, "-qh", self._folder, "-p", self.port, "-c", create)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def login(self, user: str, password: str) -> bool:
        command = (self._psql, "-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", "postgres")
        done = subprocess.run(
            (*command, "-Atc", "select current_user"),
            env=os.environ | {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "60"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0 or "LDAP authentication failed" in done.stderr, done.stderr
        return done.stdout.strip() == user
