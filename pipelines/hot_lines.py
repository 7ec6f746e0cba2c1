"""What `apiary status` tells of the hot tier: trails, positions, working orders, who lives."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.resources import Workshop

BOOK = "main"


def hot_lines(built: "Workshop") -> list[str]:
    """Return it in lines; that a server is away is one of them, and nothing else is lost by it."""
    from adapters.stores.hot_state import HotState
    from pipelines.resources import time_ns

    hot: Any = built.get("hot")
    try:
        state = HotState(hot)
        beats, now_ns = state.heartbeats(), time_ns()
        if not beats:
            return []
        alive = ", ".join(f"{p} {(now_ns - at) / 1e9:.1f} s ago" for p, at in sorted(beats.items()))
        held, working = state.positions(BOOK), state.orders(BOOK)
        lines = [f"hot: {len(held)} positions, {len(working)} orders work; shown by {alive}"]
        field = state.find_field(BOOK)
        if field is not None:
            size = " x ".join(map(str, field.values.shape))
            lines.append(f"hot: trails of step {field.step}, {size} (instruments x channels)")
        return lines + _online(built)
    except (OSError, ValueError) as error:
        return [f"hot: {' '.join(str(error).split())}"]


def _online(built: "Workshop") -> list[str]:
    store: Any = built.get("feature_store")
    count, newest = store.newest_online()
    return (
        []
        if newest is None
        else [f"hot: features of {count} instruments as of {newest:%Y-%m-%d %H:%M} UTC"]
    )
