"""HealthCheck: how proxies find out which instances are well. What operators write is here, and no Envoy."""
