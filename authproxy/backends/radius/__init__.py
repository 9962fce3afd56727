"""A RADIUS server as the primary (`radius_client`): sockets, retransmission, health, what its answers mean."""
