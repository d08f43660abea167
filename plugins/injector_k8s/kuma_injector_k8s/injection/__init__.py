"""From a Pod, its Mesh and the settings to a JSON Patch: pure functions. Nothing here asks anybody."""
