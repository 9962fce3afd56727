"""A small LDAP server for trials: entries from an LDIF file, simple binds, searches. Read-only, in memory."""
