"""Certificate authorities: what a plugin implements, who is asked for a mesh, and helpers for X.509.

No authority itself lives here, and nothing that knows how a certificate gets to a proxy.
"""
