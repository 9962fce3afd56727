"""`ldap_server_auto`: binds get a second factor, everything else is relayed octet for octet."""
