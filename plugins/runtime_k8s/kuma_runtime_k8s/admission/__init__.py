"""The API server's questions about what somebody writes: defaults and rules. Nothing here writes anything."""
