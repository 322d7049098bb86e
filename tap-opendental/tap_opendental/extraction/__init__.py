"""How rows leave the source without hurting it."""
