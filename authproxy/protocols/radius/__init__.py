"""RADIUS on the wire, for a server and for a client (RFC 2865 and what builds on it). Pure."""
