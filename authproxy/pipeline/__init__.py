"""What is decided, and nothing else: no sockets, no clock of its own, no Twisted."""
