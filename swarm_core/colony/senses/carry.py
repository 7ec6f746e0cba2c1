"""Carry and term structure: what is paid for holding if prices stand still."""

from swarm_core.colony.sense import Genome, Sense

SENSE = Sense(
    name="carry",
    source="Koijen, Moskowitz, Pedersen & Vrugt (2018), Carry, JFE 127; Estrella & Mishkin (1998)",
    genomes=(
        # `carry` (yearly, as a fraction) comes from whoever knows it: dividends, rates, a curve.
        Genome(column="carry", gain=20.0),
        Genome(column="carry_rank", gain=1.0),
        # Risky assets while the curve rises, and against them where it is inverted.
        Genome(column="beta_63d", gain=1.0, gate="term_slope", gate_gain=1.5),
        Genome(column="beta_63d", gain=-1.0, gate="term_slope", gate_gain=-1.5),
    ),
)
