"""What is kept: one SQLite file, its secrets sealed with a key that lies beside it."""
