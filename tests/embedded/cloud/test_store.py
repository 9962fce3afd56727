"""What is kept: sealed, brought up to date, in whole changes, by several processes at once."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from pathlib import Path

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.embedded.cloud.model import (
    DeviceKind,
    Factor,
    NewUsers,
    Otp,
    Policy,
    Result,
    Status,
    UserPolicy,
)
from authproxy.embedded.cloud.otp import new_otp_secret
from authproxy.embedded.cloud.store import database
from authproxy.embedded.cloud.store.applications import NameTaken
from authproxy.embedded.cloud.store.database import Database, DatabaseUnusable
from authproxy.embedded.cloud.store.sealing import KeyUnusable, Seal, Unsealable, open_key
from authproxy.embedded.cloud.store.store import DATABASE, KEY, open_store
from authproxy.secret import Secret

SEAL = Seal(b"k" * 32)


@given(st.binary(max_size=100), st.text(max_size=20))
def test_unsealing_undoes_sealing(octets: bytes, purpose: str) -> None:
    assert SEAL.unseal(SEAL.seal(Secret(octets), purpose), purpose).reveal() == octets


@given(st.binary(max_size=80))
def test_garbage_cannot_be_unsealed(octets: bytes) -> None:
    with pytest.raises(Unsealable):
        SEAL.unseal(octets, "x")


def test_a_sealed_value_stays_where_it_was_put() -> None:
    sealed = SEAL.seal(Secret(b"skey"), "application.skey A")
    for purpose, seal in (("application.skey B", SEAL), ("application.skey A", Seal(b"o" * 32))):
        with pytest.raises(Unsealable):
            seal.unseal(sealed, purpose)


def test_digests_and_signatures_are_keyed_and_apart() -> None:
    secret = Secret(b"123456")
    assert SEAL.digest("a", secret) != SEAL.digest("b", secret)
    assert SEAL.digest("a", secret) != Seal(b"o" * 32).digest("a", secret)
    assert SEAL.sign(b"a") != Seal(b"o" * 32).sign(b"a")


def test_nothing_readable_lies_in_the_file(tmp_path: Path) -> None:
    store = open_store(tmp_path, time.time)
    made = store.applications.add("vpn", Policy())
    user = store.users.add("alice")
    otp = new_otp_secret()
    device = store.devices.add(user.user_id, DeviceKind.PHONE, otp=Otp.TOTP, otp_secret=otp, number="1")
    token = store.devices.give_page(device.device_id)
    codes = [
        *store.codes.bypass(user.user_id, 2, 100),
        *store.codes.texted(user.user_id, device.device_id, 2, 100),
    ]
    store.outbox.add(device.device_id, "sms", codes[2])
    link = store.activations.add(user.user_id, None, 100)
    store.close()
    octets = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (made.skey, otp, token, link, *codes):
        assert secret.reveal() not in octets
    for name in (DATABASE, KEY):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_the_key_is_made_once_only(tmp_path: Path) -> None:
    open_store(tmp_path, time.time).close()
    (tmp_path / KEY).unlink()
    with pytest.raises(KeyUnusable, match="is gone"):
        open_store(tmp_path, time.time)
    (tmp_path / KEY).write_bytes(b"x" * 32)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        open_store(tmp_path, time.time)
    (tmp_path / KEY).chmod(0o600)
    (tmp_path / KEY).write_bytes(b"short")
    with pytest.raises(KeyUnusable, match="not a key"):
        open_store(tmp_path, time.time)


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path, time.time)
    ikey = store.applications.add("vpn", Policy()).application.ikey
    store.close()
    (tmp_path / KEY).unlink()
    open_key(tmp_path / KEY, create=True)
    store = open_store(tmp_path, time.time)
    with pytest.raises(Unsealable):
        store.applications.credentials(ikey)
    store.close()


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    Database(tmp_path / DATABASE).close()
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatabaseUnusable, match="newer version"):
        Database(tmp_path / DATABASE)


def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"not a database, but long enough to be looked at " * 10)
    with pytest.raises(DatabaseUnusable):
        Database(tmp_path / DATABASE)
    with pytest.raises(DatabaseUnusable):
        open_store(tmp_path / DATABASE / "folder", time.time)


def test_a_change_is_whole_or_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path, time.time)

    def half() -> None:
        with store.database.change():
            store.users.add("alice")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        half()
    assert store.users.named("alice") is None
    store.users.add("alice")
    with pytest.raises(NameTaken):
        store.users.add("alice")
    store.close()


def test_policies_come_back(tmp_path: Path) -> None:
    store = open_store(tmp_path, time.time)
    policy = Policy(NewUsers.DENY, frozenset({Factor.PUSH}), number_matching=True, remember_hours=2.5)
    ikey = store.applications.add("vpn", policy).application.ikey
    found = store.applications.find("vpn")
    assert found is not None
    assert found.policy == policy
    assert store.applications.change_policy(ikey, Policy())
    # One that is named after another's key doesn't shadow it.
    store.applications.add(ikey, policy)
    found = store.applications.find(ikey)
    assert found is not None
    assert (found.ikey, found.policy) == (ikey, Policy())
    store.close()


def test_a_users_own_rules_come_back(tmp_path: Path) -> None:
    store = open_store(tmp_path, time.time)
    user = store.users.add("alice")
    assert user.policy == UserPolicy()
    for policy in (
        UserPolicy(frozenset({Factor.PUSH, Factor.SMS}), NewUsers.DENY),
        UserPolicy(None, NewUsers.ENROLL),
        UserPolicy(),
    ):
        assert store.users.set_policy(user.user_id, policy)
        found = store.users.find(user.user_id)
        assert found is not None
        assert found.policy == policy
    store.close()
    for wrong in ({"factors": frozenset()}, {"without_device": NewUsers.ALLOW}):
        with pytest.raises(ValueError, match="status"):
            UserPolicy(**wrong)  # type: ignore[arg-type]


MIGRATIONS = sorted(Path(database.__file__).with_name("migrations").glob("*.sql"))


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_an_older_file_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    """As a service of that version left it: nothing of what it kept is lost, the newest is what a new file has."""
    connection = sqlite3.connect(tmp_path / DATABASE)
    for script in MIGRATIONS[:version]:
        connection.executescript(script.read_text())
    connection.executescript(
        f"PRAGMA user_version = {version};"
        "INSERT INTO user (user_id, username, failures, created) VALUES ('DU1', 'alice', 3, 7.0);"
        "INSERT INTO device (device_id, user_id, kind, name, created) VALUES ('DP1', 'DU1', 'phone', 'x', 8.0);"
        "INSERT INTO login (txid, ikey, user_id, device_id, factor, result, status, created, expires)"
        f" VALUES ('t1', 'DI1', 'DU1', 'DP1', 'push', 'waiting', 'pushed', 9.0, {time.time() + 60});"
    )
    connection.close()
    open_key(tmp_path / KEY, create=True)
    store = open_store(tmp_path, time.time)
    user = store.users.named("alice")
    assert user is not None
    assert (user.user_id, user.failures, user.policy) == ("DU1", 3, UserPolicy())
    assert store.devices.find("DP1") is not None
    login = store.logins.find("t1")
    assert login is not None
    assert login.at(time.time()) == (Result.WAITING, Status.PUSHED)
    shape = _shape(store.database)
    store.close()
    fresh = open_store(tmp_path / "fresh", time.time)
    assert shape == _shape(fresh.database)
    fresh.close()


def _shape(made: Database) -> list[tuple[str, str]]:
    assert made.value("PRAGMA user_version") == len(MIGRATIONS)
    assert made.value("PRAGMA integrity_check") == "ok"
    assert made.value("PRAGMA journal_mode") == "wal"
    return [(row["name"], row["sql"] or "") for row in made.rows("SELECT * FROM sqlite_master ORDER BY name")]


def test_a_migration_that_breaks_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(tmp_path / DATABASE).close()
    scripts = tmp_path / "migrations"
    scripts.mkdir()
    for script in MIGRATIONS:
        (scripts / script.name).write_text(script.read_text())
    (scripts / "999_bad.sql").write_text(
        "CREATE TABLE more (x TEXT);\nALTER TABLE nothing ADD COLUMN y TEXT;\n"
    )
    monkeypatch.setattr(database, "_MIGRATIONS", scripts)
    with pytest.raises(DatabaseUnusable, match="nothing"):
        Database(tmp_path / DATABASE)
    monkeypatch.undo()
    opened = Database(tmp_path / DATABASE)
    assert opened.value("SELECT 1 FROM sqlite_master WHERE name = 'more'") is None
    opened.close()


def test_a_locked_file_is_waited_for_and_then_told(tmp_path: Path) -> None:
    """A copy that is being made holds the lock for a moment; what keeps it longer is an error, not a half change."""
    store = open_store(tmp_path, time.time)
    store.database.execute("PRAGMA busy_timeout=50")
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    # Who only reads goes on.
    assert store.users.named("alice") is None
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        store.users.add("alice")
    other.execute("ROLLBACK")
    other.close()
    store.users.add("alice")
    store.close()


def test_a_commit_that_fails_is_undone(tmp_path: Path) -> None:
    """Left open, it would swallow whatever is changed later."""
    made = Database(tmp_path / DATABASE)
    made.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    made.execute("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), made.change():
        made.execute("INSERT INTO child VALUES (7)")
    with made.change():
        made.execute("INSERT INTO parent VALUES (1)")
    made.close()
    opened = Database(tmp_path / DATABASE)
    assert opened.value("SELECT COUNT(*) FROM parent") == 1
    assert opened.value("SELECT COUNT(*) FROM child") == 0
    opened.close()


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path, time.time)
    store.users.add("alice")
    pages = store.database.value("PRAGMA page_count")
    store.database.execute(f"PRAGMA max_page_count={pages}")

    def fill() -> None:
        with store.database.change():
            for number in range(10_000):
                store.users.add(f"user{number}")

    with pytest.raises(sqlite3.OperationalError, match="full"):
        fill()
    # All of that change is undone, what was there before is there, and the service goes on when there is room.
    assert [user.username for user in store.users.list()] == ["alice"]
    store.database.execute("PRAGMA max_page_count=1000000")
    store.users.add("bob")
    store.close()


def _add_users(folder: str, first: int) -> None:
    store = open_store(Path(folder), time.time)
    for number in range(first, first + 40):
        store.users.add(f"user{number}")
    store.close()


def test_several_processes_begin_and_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_users, args=(str(tmp_path), 40 * at)) for at in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    store = open_store(tmp_path, time.time)
    assert len(store.users.list()) == 120
    store.close()


def test_a_file_that_another_process_is_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        other.execute("COMMIT")

    monkeypatch.setattr(time, "sleep", wait)
    Database(tmp_path / DATABASE).close()
    assert len(waits) == 1
    other.close()


def test_a_file_that_stays_locked_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    passed = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: passed.__setitem__(0, passed[0] + 1))
    with pytest.raises(DatabaseUnusable, match=r"cloud\.sqlite3: database is locked"):
        Database(tmp_path / DATABASE)
    other.close()


def test_what_is_over_is_forgotten(tmp_path: Path) -> None:
    now = [1_000_000.0]
    store = open_store(tmp_path, lambda: now[0])
    user = store.users.add("alice")
    ikey = store.applications.add("vpn", Policy()).application.ikey
    device = store.devices.add(user.user_id, DeviceKind.PHONE, number="1")
    store.outbox.add(device.device_id, "sms", Secret(b"1"))
    token = store.remembered.issue("txid", user.user_id, ikey, 1)
    store.events.add("me", "thing.happened")
    assert store.remembered.knows(token, user.user_id, ikey)
    now[0] += 91 * 86400
    assert not store.remembered.knows(token, user.user_id, ikey)
    store.tidy()
    for table in ("outbox", "remembered", "event"):
        assert store.database.value(f"SELECT COUNT(*) FROM {table}") == 0
    store.users.remove(user.user_id)
    assert store.devices.find(device.device_id) is None
    store.close()


def test_a_step_is_used_up_once(tmp_path: Path) -> None:
    """By one statement: two processes that both found it good can't both have it."""
    store = open_store(tmp_path, time.time)
    user = store.users.add("alice")
    device = store.devices.add(user.user_id, DeviceKind.TOKEN, otp=Otp.TOTP, otp_secret=new_otp_secret())
    assert store.devices.use_up(device.device_id, 7)
    assert not store.devices.use_up(device.device_id, 7)
    assert not store.devices.use_up(device.device_id, 6)
    assert store.devices.use_up(device.device_id, 8)
    store.close()


def test_a_link_is_spent_once_and_in_time(tmp_path: Path) -> None:
    now = [1_000_000.0]
    store = open_store(tmp_path, lambda: now[0])
    user = store.users.add("alice")
    device = store.devices.add(user.user_id, DeviceKind.PHONE)
    link, late = (store.activations.add(user.user_id, None, 100) for _ in range(2))
    assert store.activations.spend(link, device.device_id)
    assert not store.activations.spend(link, device.device_id)
    now[0] += 100
    assert not store.activations.spend(late, device.device_id)
    signed = Secret(b"~signed")
    assert store.activations.record(signed, user.user_id, device.device_id, now[0] + 1)
    assert not store.activations.record(signed, user.user_id, device.device_id, now[0] + 1)
    store.close()


def test_a_locked_administrator_stays_out_with_both_factors(tmp_path: Path) -> None:
    now = [1_000_000.0]
    store = open_store(tmp_path, lambda: now[0])
    app = pyotp.TOTP(store.administrators.add("root", Secret(b"right")).reveal().decode())
    for _ in range(5):
        store.administrators.log_in("root", right_password=False, code=Secret(b"000000"))
    code = Secret.of(app.at(int(now[0])))
    assert store.administrators.log_in("root", right_password=True, code=code) is None
    now[0] += 300
    code = Secret.of(app.at(int(now[0])))
    assert store.administrators.log_in("root", right_password=True, code=code) is not None
    store.close()
