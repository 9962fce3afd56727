"""The API's words: parameters, signatures, envelopes, error codes. Auth API v2; the legacy one behind a switch."""
