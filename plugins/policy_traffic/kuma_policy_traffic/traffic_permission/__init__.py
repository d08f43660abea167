"""TrafficPermission: who may call whom. What operators write is here; deciding per proxy never is."""
