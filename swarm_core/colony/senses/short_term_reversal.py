"""Short-term reversal: what fell for no reason that lasts comes back within days."""

from swarm_core.colony.sense import MEMORY_RETURN, Genome, Sense, Shape

SENSE = Sense(
    name="short_term_reversal",
    source="Lehmann (1990), Fads, martingales, and market efficiency, QJE 105; Jegadeesh (1990)",
    genomes=(
        Genome(column="rev_5d_rank", gain=1.0),
        Genome(column="rev_1d", gain=40.0),
        Genome(column="rev_5d", gain=20.0),
        Genome(column=f"{MEMORY_RETURN}1", gain=-0.7),
        Genome(column=f"{MEMORY_RETURN}5", gain=-0.7),
        Genome(column=f"{MEMORY_RETURN}5", gain=-0.5, shape=Shape.HUMP),
    ),
    gain_range=(0.05, 100.0),
)
