"""Who is this proxy: the tokens of dataplanes, the keys that sign them, and how they are verified.

Nothing here knows how a token comes in or goes out: no HTTP, no gRPC.
"""
