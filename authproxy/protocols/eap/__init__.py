"""EAP as its server: PEAP with GTC and TTLS with PAP inside (RFC 3748, RFC 5281, RFC 9427). Pure."""
