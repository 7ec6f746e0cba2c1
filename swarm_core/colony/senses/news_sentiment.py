"""News sentiment: words move prices for some days, most where the words are many."""

from swarm_core.colony.sense import Genome, Sense

SENSE = Sense(
    name="news_sentiment",
    source="Tetlock (2007), Giving content to investor sentiment, JF 62; Garcia (2013), JF 68",
    genomes=(
        Genome(column="news_sentiment_1d", gain=2.0),
        Genome(column="news_sentiment_5d", gain=3.0),
        Genome(column="news_sentiment_5d", gain=-3.0),
        Genome(column="news_sentiment_5d", gain=3.0, gate="realised_vol", gate_gain=1.5),
    ),
)
