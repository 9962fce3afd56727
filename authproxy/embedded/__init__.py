"""A small directory and a second-factor service, so that authproxy can run with nothing else installed."""
