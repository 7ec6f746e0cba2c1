"""Value as distance from trend: what stands far from its own average is pulled back."""

from swarm_core.colony.sense import Derived, Floats, Genome, Sense, Shape


def _gap_in_sigmas(gap: Floats, volatility: Floats) -> Floats:
    return gap / volatility


SENSE = Sense(
    name="mean_reversion",
    source="Poterba & Summers (1988), JFE 22; De Bondt & Thaler (1985), JF 40",
    derived={
        "gap_50d_sigmas": Derived(inputs=("ma_gap_50d", "vol_63d"), function=_gap_in_sigmas),
        "gap_200d_sigmas": Derived(inputs=("ma_gap_200d", "vol_63d"), function=_gap_in_sigmas),
    },
    genomes=(
        Genome(column="gap_50d_sigmas", gain=-3.0),
        Genome(column="gap_200d_sigmas", gain=-1.5),
        Genome(column="gap_50d_sigmas", gain=-3.0, shape=Shape.HUMP),
        Genome(column="drawdown_252d", gain=-3.0, center=-0.2, shape=Shape.HUMP),
    ),
)
