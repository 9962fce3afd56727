"""`main.admin`: health, metrics and the status page. It reads; it can change nothing."""
