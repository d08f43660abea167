"""From a mesh view to the bytes that each Envoy should have, and what became of them.

``server/`` below speaks the protocol and decides no content; this level decides content and speaks no protocol.
"""
