"""Feeds: where the trader sees its market."""
