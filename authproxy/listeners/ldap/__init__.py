"""`ldap_server_auto`: binds need a second factor; everything else is relayed octet for octet."""
