"""Time-series momentum: what rose against its own past goes on rising."""

from swarm_core.colony.sense import MEMORY_RETURN, Derived, Floats, Genome, Sense


def _in_sigmas(momentum: Floats, volatility: Floats) -> Floats:
    return momentum / volatility


SENSE = Sense(
    name="time_series_momentum",
    source="Moskowitz, Ooi & Pedersen (2012), Time series momentum, JFE 104",
    derived={
        # mom is a log return over the window and vol_63d a yearly volatility: their ratio is a
        # yearly Sharpe ratio of the instrument, up to a constant that the gains take up.
        "momentum_21d_sigmas": Derived(inputs=("mom_21d", "vol_63d"), function=_in_sigmas),
        "momentum_63d_sigmas": Derived(inputs=("mom_63d", "vol_63d"), function=_in_sigmas),
        "momentum_126d_sigmas": Derived(inputs=("mom_126d", "vol_63d"), function=_in_sigmas),
        "momentum_252d_sigmas": Derived(inputs=("mom_252d_21d", "vol_63d"), function=_in_sigmas),
    },
    genomes=(
        Genome(column="momentum_21d_sigmas", gain=2.5),
        Genome(column="momentum_63d_sigmas", gain=1.5),
        Genome(column="momentum_126d_sigmas", gain=1.0),
        Genome(column="momentum_252d_sigmas", gain=0.8),
        Genome(column="macd_12d_26d", gain=50.0),
        Genome(column="ma_gap_50d", gain=15.0),
        Genome(column=f"{MEMORY_RETURN}1", gain=0.7),
        Genome(column=f"{MEMORY_RETURN}5", gain=0.7),
        Genome(column=f"{MEMORY_RETURN}21", gain=0.7),
    ),
    gain_range=(0.05, 100.0),
)
