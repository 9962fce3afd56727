"""What makes authproxy run with nothing else installed: a directory and a second-factor service of its own."""
