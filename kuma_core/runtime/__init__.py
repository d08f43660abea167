"""The ordered wiring: reads the configuration, opens the store, starts and stops everything; ``kuma-cp``."""
