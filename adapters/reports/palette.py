"""Colours of a report: the same thing has the same colour on the page and in the PNGs."""

INK = "#1d2733"
MUTED = "#6b7785"
GRID = "#e7ebef"
HONEY = "#d98e04"  # the book
SLATE = "#7d8b99"  # the benchmark
LOSS = "#c2413b"
GAIN = "#2f855a"

# Ordered so that neighbours in a stack differ in hue and in lightness.
SERIES = (
    "#d98e04",
    "#2b6cb0",
    "#2f855a",
    "#b83280",
    "#6b46c1",
    "#dd6b20",
    "#319795",
    "#975a16",
    "#4a5568",
    "#e53e3e",
    "#a0aec0",
)
DIVERGING = ((0.0, "#b2403a"), (0.5, "#f7f5ef"), (1.0, "#1f6f5c"))
SEQUENTIAL = ((0.0, "#faf6ec"), (0.5, "#e8b53d"), (1.0, "#7a4a02"))


def series_colour(index: int) -> str:
    """Return the colour of the n-th series; colours repeat after the last."""
    return SERIES[index % len(SERIES)]
