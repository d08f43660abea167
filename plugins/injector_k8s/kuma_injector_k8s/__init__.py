"""The program ``kuma-injector``: it gives Pods a sidecar when they are created. No control plane loads it."""
