"""The model's forecast, as one voice among many."""

from swarm_core.colony.sense import Genome, Sense, Shape

SENSE = Sense(
    name="model_forecast",
    source="Gu, Kelly & Xiu (2020), Empirical asset pricing via machine learning, RFS 33",
    genomes=(
        Genome(column="forecast", gain=0.7),
        Genome(column="forecast", gain=1.0, shape=Shape.BREAK),
        Genome(column="forecast", gain=0.5, shape=Shape.HUMP),
    ),
)
