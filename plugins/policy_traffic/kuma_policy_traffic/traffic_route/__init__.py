"""TrafficRoute: which instances a service's traffic goes to. What operators write is here, and no Envoy."""
