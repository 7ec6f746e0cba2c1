"""Cross-sectional momentum: winners go on beating losers."""

from swarm_core.colony.sense import Genome, Sense, Shape

SENSE = Sense(
    name="cross_sectional_momentum",
    source="Jegadeesh & Titman (1993), Returns to buying winners and selling losers, JF 48",
    genomes=(
        Genome(column="mom_252d_21d_rank", gain=1.0),
        Genome(column="mom_252d_21d_rank", gain=2.0, shape=Shape.BREAK),
        # Momentum crashes when volatility is high (Daniel & Moskowitz 2016): a gated clone.
        Genome(column="mom_252d_21d_rank", gain=1.0, gate="realised_vol", gate_gain=-2.0),
    ),
)
