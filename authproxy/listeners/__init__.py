"""Answers those who ask. A listener turns octets into requests, and decisions into octets; it decides nothing."""
