"""The xDS protocol, state-of-the-world and delta, over grpc.aio. Nothing here knows what a mesh is."""
