"""The REST API, the bootstrap server and the diagnostics server, each asked over HTTP."""
