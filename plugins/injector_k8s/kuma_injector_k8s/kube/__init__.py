"""The API server, as far as the injector needs it: to read and to watch meshes, as raw JSON."""
