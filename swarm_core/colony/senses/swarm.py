"""The colony's sense of itself: agreement is information, crowding is danger."""

from swarm_core.colony.sense import CONSENSUS, CROWDING, Genome, Sense, Shape

SENSE = Sense(
    name="swarm",
    source=(
        "Couzin et al. (2005), Effective leadership in animal groups, Nature 433 "
        "(consensus); Khandani & Lo (2011), What happened to the quants, JFM 14 (crowding)"
    ),
    genomes=(
        Genome(column=CONSENSUS, gain=2.0),
        Genome(column=CONSENSUS, gain=4.0, shape=Shape.HUMP),
        Genome(column=CROWDING, gain=-1.5, shape=Shape.BREAK),
    ),
)
