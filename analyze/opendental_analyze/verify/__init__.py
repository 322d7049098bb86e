"""Proof that a replica holds what its source does."""
