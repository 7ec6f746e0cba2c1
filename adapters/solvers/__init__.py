"""Maintained solvers behind the Protocols of swarm_core."""
