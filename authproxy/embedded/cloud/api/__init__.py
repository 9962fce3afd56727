"""The HTTP side of the API: parameters, signatures, envelopes, error codes; Auth API v2, and the legacy one if it is
switched on.
"""
