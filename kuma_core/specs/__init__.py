"""What operators write, as frozen pydantic models: the base of every spec, and the specs of the kernel's kinds.

Values and their rules only. Nothing here reads a store, and nothing here knows Envoy.
"""
