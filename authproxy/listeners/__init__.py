"""Who asks us. A listener turns octets into requests and decisions into octets; it decides nothing."""
