"""`ad_client`: the password is checked at Active Directory or another LDAP directory."""
