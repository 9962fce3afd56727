"""The RADIUS server: clients, duplicates, sections, replies (RFC 2865, RFC 5080)."""
