"""What every picture is drawn with: colours, axes, and PNG bytes without a display."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, HONEY, BARK, LEAF, RUST = (
    *("#2b2b2b", "#8a8a8a", "#e0a100"),
    *("#6b4f1d", "#4f7f52", "#b5482f"),
)


def to_markdown(png: bytes, alt: str) -> str:
    """Return the picture as a Markdown image, the form in which run metadata shows it."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})"


def draw_figure(
    draw: Callable[[Sequence[Axes]], None], rows: int = 1, columns: int = 1, height: float = 0.0
) -> bytes:
    """Return a picture as PNG bytes: `draw` gets rows x columns axes, row by row; height in inches.

    The same drawing gives the same bytes. matplotlib is imported here, not with the house.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (9.0 if columns == 2 else 8.0, height or (5.2 if rows == 2 else 4.0))
    figure = Figure(figsize=size, dpi=110, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    draw([figure.add_subplot(rows, columns, k + 1) for k in range(rows * columns)])
    out = io.BytesIO()
    # Without the software stamp the same record gives the same bytes. `savefig` draws twice.
    canvas.print_png(out, metadata={"Software": None})
    return out.getvalue()


def finish(axis: Axes, title: str, y: str, x: str = "") -> None:
    """Give an axis its title, labels with units, and the house's quiet look."""
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axis.set_xlabel(x, color=INK)
    axis.set_ylabel(y, color=INK)
    axis.grid(True, color="#e6e6e6", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK, labelsize=8)
    # Of two axes above one another the lower one alone says what the dates are.
    if axis.name == "rectilinear" and (x.endswith("(UTC)") or axis.xaxis.have_units()):
        axis.tick_params(axis="x", labelrotation=20)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def legend(axis: Axes) -> None:
    """Name what is drawn, without a frame."""
    axis.legend(frameon=False, fontsize=8)
