"""The HTTP proxy that other clients of the cloud go out by."""
