"""samba_seed.py SMB.CONF N: the users and groups that samba.py promises, written straight into the database.

Runs in the system's Python, whose Samba modules it needs; not a test.
"""

from __future__ import annotations

import hashlib
import sys
import time

import ldb  # type: ignore[import-not-found]
from samba import dsdb, param  # type: ignore[import-not-found]
from samba.auth import system_session  # type: ignore[import-not-found]
from samba.credentials import Credentials  # type: ignore[import-not-found]
from samba.samdb import SamDB  # type: ignore[import-not-found]

LONG_AGO = "129000000000000000"  # October 2009, as Windows counts
NEVER_UNLOCKS = "-9223372036854775808"
# One long transaction gets slower with every entry.
BATCH = 250
# Lets an old pwdLastSet be written, which no client can do.
BYPASS_LAST_SET = "local_oid:1.3.6.1.4.1.7165.4.3.20:0"

settings = param.LoadParm()
settings.load(sys.argv[1])
database = SamDB(session_info=system_session(settings), lp=settings)
base = str(database.domain_dn())


def modify(dn: str, controls: list[str] | None = None, **attributes: str) -> None:
    message = ldb.Message(ldb.Dn(database, dn))
    for name, value in attributes.items():
        message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    database.modify(message, controls=controls)


def add_user(name: str, password: str | None = None) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    database.newuser(name, password or f"Passw0rd-{digest}", mailaddress=f"{name}@example.test")
    return f"CN={name},CN=Users,{base}"


def add_special_users() -> None:
    add_user("svc", "Svc-pass1")
    database.setexpiry("(sAMAccountName=svc)", 0, no_expiry_req=True)
    add_user("disabled")
    database.toggle_userAccountFlags(
        "(sAMAccountName=disabled)", dsdb.UF_ACCOUNTDISABLE, "ACCOUNTDISABLE", on=True
    )
    add_user("mustchange")
    database.force_password_change_at_next_login("(sAMAccountName=mustchange)")
    modify(add_user("accexpired"), accountExpires=LONG_AGO)
    modify(add_user("expired"), [BYPASS_LAST_SET], pwdLastSet=LONG_AGO)
    modify(add_user("locked"), lockoutTime=str(windows_now()))
    message = ldb.Message(ldb.Dn(database, add_user("noupn")))
    message["upn"] = ldb.MessageElement([], ldb.FLAG_MOD_DELETE, "userPrincipalName")
    database.modify(message)


def add_many(count: int) -> None:
    """With a ready NT hash: deriving Kerberos keys takes ten times as long as everything else."""
    credentials = Credentials()
    credentials.set_password("Passw0rd-many")
    nt_hash = bytes(credentials.get_nt_hash())
    controls = [f"local_oid:{dsdb.DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID}:0", "relax:0"]
    for number in range(count):
        if number % BATCH == BATCH - 1:
            database.transaction_commit()
            database.transaction_start()
        name = f"u{number:05}"
        entry = {
            "dn": f"CN={name},CN=Users,{base}",
            "objectClass": "user",
            "sAMAccountName": name,
            "userPrincipalName": f"{name}@ad.test",
            "userAccountControl": "512",
            "pwdLastSet": str(windows_now()),
            "unicodePwd": nt_hash,
            "ntPwdHistory": nt_hash,
        }
        database.add(entry, controls=controls)


def windows_now() -> int:
    return int((time.time() + 11644473600) * 10**7)


# No complexity and no minimum age; three bad passwords lock until an administrator unlocks.
modify(
    base,
    pwdProperties="0",
    minPwdLength="1",
    minPwdAge="0",
    lockoutThreshold="3",
    lockoutDuration=NEVER_UNLOCKS,
    lockOutObservationWindow="-18000000000",
)
database.transaction_start()
for user in ("alice", "bob", "carol"):
    add_user(user)
add_special_users()
add_many(int(sys.argv[2]))
for group, members in (("vpn", ["alice", "bob"]), ("staff", ["vpn", "carol"]), ("outer", ["staff"])):
    database.newgroup(group)
    database.add_remove_group_members(group, members)
database.newgroup("letters", grouptype=dsdb.GTYPE_DISTRIBUTION_GLOBAL_GROUP)
database.add_remove_group_members("letters", ["vpn"])
database.transaction_commit()
