"""The SQLite file: opened, brought up to date, changed in whole transactions. One thread, calls under a millisecond.

WAL with synchronous=NORMAL: what was committed survives this process however it ends.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_MILLISECONDS = 2000  # another process of ours writes for microseconds; this is for a copy being made
_PAUSE = 0.005  # seconds until WAL is asked for again

Row = sqlite3.Row


class DatabaseUnusable(Exception):
    """The administrator has to act: the folder or file can't be used, or is of a newer version."""


class Database:
    """Statements with parameters only; nothing else in the package builds SQL from what somebody sent."""

    def __init__(self, path: Path) -> None:
        """Open or make it, and migrate. Raises DatabaseUnusable."""
        try:
            if not path.exists():
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
            self._write_ahead()
            for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._migrate(path)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseUnusable(f"{path}: {error}") from None

    def close(self) -> None:
        self._connection.close()

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: Any) -> Row | None:
        found: Row | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of the first row; None when there is none."""
        found = self.row(sql, *parameters)
        return None if found is None else found[0]

    def execute(self, sql: str, *parameters: Any) -> int:
        """Change something; how many rows it touched."""
        return self._connection.execute(sql, parameters).rowcount

    @contextmanager
    def change(self) -> Iterator[None]:
        """All of what happens inside, or none of it. May stand inside another one."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._undo()
            raise

    def _write_ahead(self) -> None:
        # Entering WAL upgrades a read lock, and for that SQLite waits for nobody: of two processes that make the file
        # at once, one would be told that it is locked.
        until = time.monotonic() + _BUSY_MILLISECONDS / 1000
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _undo(self) -> None:
        # A full disk has undone it already. A commit that failed has not: left open, it would take in every later
        # change, and none of them would ever be kept.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def data_version(self) -> int:
        """A number that changes when another process has changed the file."""
        return int(self.value("PRAGMA data_version"))

    def _migrate(self, path: Path) -> None:
        scripts = sorted(_MIGRATIONS.glob("*.sql"))
        with self.change():
            have = int(self.value("PRAGMA user_version"))
            if have > len(scripts):
                raise DatabaseUnusable(f"{path} is of a newer version ({have}) than this authproxy")
            for version, script in enumerate(scripts[have:], start=have + 1):
                for statement in _statements(script.read_text(encoding="utf-8")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version={version}")


def _statements(script: str) -> Iterator[str]:
    """One at a time: sqlite3's executescript would commit in between."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
