"""The kernel's front door: hook specifications, the loader and the frozen Catalog.

Only this room calls pluggy. Here never lives anything that knows what a mesh is.
"""
