"""Who is this proxy: the tokens of dataplanes, the keys that sign them, and how a control plane verifies them.

Nothing here knows how a token comes in or goes out: no HTTP, no gRPC.
"""
