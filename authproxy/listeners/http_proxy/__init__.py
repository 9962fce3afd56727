"""The HTTP proxy through which other clients reach the cloud."""
