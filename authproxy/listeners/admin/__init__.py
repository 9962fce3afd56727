"""`main.admin`: health, metrics and the status page. It can't change anything."""
