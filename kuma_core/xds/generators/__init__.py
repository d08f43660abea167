"""What a proxy gets when no policy says otherwise: inbound and outbound listeners, clusters, endpoints."""
