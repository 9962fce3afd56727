"""Tells a person at once: what deserves an alarm, how often, and by which program or webhook."""
