"""Secrets by reference: where one lies is written down, never what it is."""
