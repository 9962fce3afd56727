"""The stored data: one SQLite file, whose secrets are sealed with a key beside it."""
