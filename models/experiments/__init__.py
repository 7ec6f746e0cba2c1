"""Experiments: what is tried, how often it was tried, and what is left of it after that."""
