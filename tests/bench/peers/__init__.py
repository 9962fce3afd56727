"""Whom authproxy is compared with, each set up to do the same work."""
