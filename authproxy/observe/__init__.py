"""What is seen from outside: the log, the audit, the metrics, the service manager."""
