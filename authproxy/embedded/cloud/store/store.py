"""The whole of what is kept, opened from one folder."""

from __future__ import annotations

from pathlib import Path

from authproxy.embedded.cloud.model import WallClock
from authproxy.embedded.cloud.store.administrators import Administrators
from authproxy.embedded.cloud.store.applications import Applications
from authproxy.embedded.cloud.store.codes import Activations, Codes
from authproxy.embedded.cloud.store.database import Database, DatabaseUnusable
from authproxy.embedded.cloud.store.devices import Devices
from authproxy.embedded.cloud.store.journal import Events, Outbox, Remembered
from authproxy.embedded.cloud.store.logins import Logins
from authproxy.embedded.cloud.store.sealing import Seal, open_key
from authproxy.embedded.cloud.store.users import Users
from authproxy.values import light_dataclass

DATABASE = "cloud.sqlite3"
KEY = "cloud.key"


@light_dataclass(frozen=True, slots=True)
class Store:
    database: Database
    seal: Seal
    applications: Applications
    users: Users
    devices: Devices
    codes: Codes
    activations: Activations
    logins: Logins
    remembered: Remembered
    outbox: Outbox
    events: Events
    administrators: Administrators

    def tidy(self) -> None:
        """Forget what is over. Once an hour is often enough."""
        with self.database.change():
            self.logins.tidy()
            self.remembered.tidy()
            self.outbox.tidy()
            self.events.tidy()
            self.administrators.tidy()

    def pages(self) -> str:
        """The address of the pages, as the service last served them; '' before it did."""
        return self.database.value("SELECT value FROM setting WHERE name = 'pages'") or ""

    def note_pages(self, address: str) -> None:
        self.database.execute("INSERT OR REPLACE INTO setting (name, value) VALUES ('pages', ?)", address)

    def close(self) -> None:
        self.database.close()


def open_store(folder: Path, clock: WallClock) -> Store:
    """Made at the first start. Raises DatabaseUnusable, KeyUnusable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(f"{folder}: {error.strerror}") from None
    file = folder / DATABASE
    seal = open_key(folder / KEY, create=not file.exists())
    database = Database(file)
    return Store(
        database,
        seal,
        Applications(database, seal, clock),
        Users(database, clock),
        Devices(database, seal, clock),
        Codes(database, seal, clock),
        Activations(database, seal, clock),
        Logins(database, clock),
        Remembered(database, seal, clock),
        Outbox(database, seal, clock),
        Events(database, clock),
        Administrators(database, seal, clock),
    )
