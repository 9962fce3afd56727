"""LDAP in octets and in values, for both roles (RFC 4511 to 4515). No sockets, no clock."""
