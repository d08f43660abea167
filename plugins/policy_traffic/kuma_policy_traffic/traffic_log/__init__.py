"""TrafficLog: which connections are logged, and where. What operators write is here, and no Envoy."""
