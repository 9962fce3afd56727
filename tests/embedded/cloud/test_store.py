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

from authproxy.embedded.cloud.model import DeviceKind, Factor, NewUsers, Otp, Policy
from authproxy.embedded.cloud.otp import new_otp_secret
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
