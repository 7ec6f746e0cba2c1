"""Macro tilt: lean with the market's beta while the economy surprises and fear recedes."""

from swarm_core.colony.sense import Genome, Sense

SENSE = Sense(
    name="macro_regime",
    source="Scotti (2016), Surprise and uncertainty indexes, JME 82; Whaley (2009), JPM 35 (VIX)",
    genomes=(
        Genome(column="macro_surprise", gain=1.0),
        Genome(column="beta_63d", gain=1.0, gate="macro_surprise", gate_gain=1.5),
        Genome(column="beta_63d", gain=-1.0, gate="vix", gate_gain=2.0, gate_center=1.0),
        # After a jump of fear the premium for bearing it is high.
        Genome(column="vix_change_5d", gain=0.3),
        Genome(column="vix_change_5d", gain=-0.3),
        Genome(column="oil_ret_21d", gain=5.0),
        Genome(column="dollar_ret_21d", gain=-10.0),
    ),
)
