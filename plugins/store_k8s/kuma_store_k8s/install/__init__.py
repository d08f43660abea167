"""The objects of ``kumactl install control-plane``: pure functions of the flags. Nothing here asks a server."""
