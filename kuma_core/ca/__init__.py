"""Certificate authorities: what a plugin implements, which one serves a mesh, and helpers for X.509.

No authority itself lives here, and nothing that knows how a certificate gets to a proxy.
"""
