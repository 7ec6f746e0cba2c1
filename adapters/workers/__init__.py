"""Pools of worker processes for sweeps: on this machine, or on a Ray cluster."""
