"""The demo's company: its people, their passwords, and the directory's LDIF file."""

from __future__ import annotations

from authproxy.embedded.directory.password import hashed
from authproxy.secret import Secret
from authproxy.values import light_dataclass

BASE = "DC=demo,DC=example"
SERVICE = f"CN=authproxy,OU=Service,{BASE}"


@light_dataclass(frozen=True, slots=True)
class Person:
    name: str
    password: str
    words: str  # what the demo says of them


ALICE = Person("alice", "wonderland", "has a phone: a push, or a passcode from the phone page")
BOB = Person("bob", "builder", "has a phone, too")
CAROL = Person("carol", "singing", "has no phone yet: her login answers with a link to set one up")
PEOPLE = (ALICE, BOB, CAROL)


def ldif(service_password: Secret) -> str:
    """The directory, with names as in Active Directory."""
    entries = [
        f"dn: {BASE}\nobjectClass: domain\ndc: demo",
        f"dn: OU=Service,{BASE}\nobjectClass: organizationalUnit\nou: Service",
        f"dn: OU=People,{BASE}\nobjectClass: organizationalUnit\nou: People",
        _account(SERVICE, "authproxy", service_password),
    ]
    for person in PEOPLE:
        dn = f"CN={person.name.title()},OU=People,{BASE}"
        entries.append(_account(dn, person.name, Secret.of(person.password)))
    return "version: 1\n\n" + "\n\n".join(entries) + "\n"


def _account(dn: str, name: str, password: Secret) -> str:
    return "\n".join(
        (
            f"dn: {dn}",
            "objectClass: top",
            "objectClass: person",
            "objectClass: user",
            f"sAMAccountName: {name}",
            f"uid: {name}",
            f"userPrincipalName: {name}@demo.example",
            "userAccountControl: 512",
            f"userPassword: {hashed(password).decode()}",
        )
    )
