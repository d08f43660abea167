"""Tests against a real PostgreSQL, which the tests start and end themselves."""
