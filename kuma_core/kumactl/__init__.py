"""kumactl, the program that people type: one module for each command and a few that they share.

Nothing here serves requests, and nothing here may import pydantic, grpc or falcon: kumactl starts fast.
"""
