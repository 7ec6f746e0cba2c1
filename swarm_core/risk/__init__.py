"""The pre-trade gate: its codes, its limits, and the one door to the broker."""
