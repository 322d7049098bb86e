"""Judgement: pure functions from facts to a choice and its reason."""
