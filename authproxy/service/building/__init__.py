"""Builds what a configuration describes: policies, primaries, clouds and ports. Nothing here binds a port or asks a
server.
"""
