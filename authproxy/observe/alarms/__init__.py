"""Telling a person at once: what is worth it, how often, and by which way."""
