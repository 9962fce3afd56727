"""What a configuration means: its sections' policies, primaries, clouds and ports. Nothing here binds or asks."""
