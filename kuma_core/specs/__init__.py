"""What operators write, as frozen pydantic models: the base of all, and the kernel's own kinds.

Values and their rules only. Nothing here reads a store, and nothing here knows Envoy.
"""
