"""Control planes and databases that are killed at work: real processes, real Envoys, a real PostgreSQL.

Each test has a short form for every run, and one in full length with the mark ``chaos`` (``make chaos``).
"""
