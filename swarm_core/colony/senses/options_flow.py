"""Options skew and flow: what those who pay for protection and leverage seem to know."""

from swarm_core.colony.sense import Genome, Sense

SENSE = Sense(
    name="options_flow",
    source=(
        "Pan & Poteshman (2006), RFS 19 (put/call); Xing, Zhang & Zhao (2010), JFQA 45 (skew); "
        "Vasquez (2017), JFQA 52 (term structure of implied volatility)"
    ),
    genomes=(
        # Columns of swarm_core.colony.option_chain.chain_columns; absent columns mean abstention.
        Genome(column="put_call_log", gain=-0.8),
        Genome(column="implied_skew", gain=-10.0, center=0.03),
        Genome(column="implied_term", gain=5.0),
    ),
)
