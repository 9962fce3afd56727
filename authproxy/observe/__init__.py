"""What can be observed from outside: the log, the audit, the metrics, and what the service manager is told."""
