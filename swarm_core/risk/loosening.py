"""Which limits a change makes looser: the question whether it needs a person's sign-off."""

from collections.abc import Mapping
from dataclasses import fields

from swarm_core.risk.levels import Level, LevelLimits
from swarm_core.risk.limits import LOOSEST, RiskLimits

# More of these is tighter: what is sent is counted over a longer time, or must be there.
_MORE_IS_TIGHTER = frozenset(
    {
        "volume_required",
        "short_locate_required",
        "restricted",
        "messages_window_s",
        "repeats_window_s",
        "duplicate_window_s",
    }
)
_NAMES = tuple(f.name for f in fields(RiskLimits) if f.name != "levels")


def loosened(before: RiskLimits, after: RiskLimits) -> tuple[str, ...]:
    """Return the limits of `before` that `after` loosens or leaves out, each with its level."""
    found = [name for name in _NAMES if _is_looser(name, before, after)]
    now = _by_level(after)
    for key, own in _by_level(before).items():
        there = now.get(key, LOOSEST)
        title = f"{key[0].value} {key[1]}"
        found.extend(f"{name} of {title}" for name in _NAMES if _is_looser(name, own, there))
    return tuple(found)


def _by_level(limits: RiskLimits) -> Mapping[tuple[Level, str], RiskLimits]:
    return {_key(level): limits.get_level(level) for level in limits.levels}


def _key(level: LevelLimits) -> tuple[Level, str]:
    return level.level, level.name


def _is_looser(name: str, before: RiskLimits, after: RiskLimits) -> bool:
    old, new = getattr(before, name), getattr(after, name)
    if name in _MORE_IS_TIGHTER:
        return not new >= old  # of sets: everything that was there still is
    if name == "permitted_asset_classes":
        is_all = before.permits_all
        return not is_all and (after.permits_all or not new <= old)
    return new > old
