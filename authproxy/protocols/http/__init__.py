"""HTTP, as far as a proxy for tunnels has to read it. Pure."""
