"""A small company for the directory's tests."""

from __future__ import annotations

import base64

from authproxy.embedded.directory.password import hashed
from authproxy.secret import Secret

BASE = "DC=corp,DC=example"
ALICE = f"CN=Alice Doe,OU=People,{BASE}"
CAROL = f"CN=Carol\\, the 3rd,OU=People,{BASE}"
STAFF = f"CN=Staff,OU=Groups,{BASE}"
VPN = f"CN=VPN,OU=Groups,{BASE}"

LDIF = f"""version: 1

# the top
dn: {BASE}
objectClass: domain
dc: corp

dn: OU=People,{BASE}
objectClass: organizationalUnit

dn: OU=Groups,{BASE}
objectClass: organizationalUnit

dn: {ALICE}
objectClass: user
objectClass: person
cn: Alice
  Doe
sAMAccountName: alice
userPrincipalName: alice@corp.example
mail: alice@corp.example
userAccountControl: 512
logonCount: 7
description:: {base64.b64encode("Größe".encode()).decode()}
userPassword: {hashed(Secret(b"wonderland")).decode()}

dn: CN=Bob,OU=People,{BASE}
objectClass: user
sAMAccountName: bob
userAccountControl: 514
userPassword: builder

dn: {CAROL}
objectClass: user
sAMAccountName: carol
logonCount: 40
userPassword: {{SSHA}}
  {base64.b64encode(bytes.fromhex("2c0b3f6ac9f4e1ab8d16c0d0f8cdb36c4a5b1a0000000000")).decode()}

dn: {STAFF}
objectClass: group
member: {ALICE}
member: CN=Carol\\2C the 3rd,ou=people,dc=corp,dc=example

dn: {VPN}
objectClass: group
member: {STAFF}
"""
