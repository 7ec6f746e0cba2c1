"""Backups of a home: what it held at a moment, kept once, brought back with its hashes compared."""
