"""Breakout: a price at the edge of its channel has news behind it."""

from swarm_core.colony.sense import Genome, Sense, Shape

SENSE = Sense(
    name="breakout",
    source="Donchian (1960), High finance in copper, FAJ 16; Brock, Lakonishok & LeBaron (1992)",
    genomes=(
        Genome(column="donchian_20d", gain=1.25, shape=Shape.BREAK),
        Genome(column="donchian_55d", gain=1.25, shape=Shape.BREAK),
        Genome(column="donchian_20d", gain=-1.25, shape=Shape.BREAK),
        Genome(column="donchian_55d", gain=1.0),
    ),
)
