"""Walk-forward windows: months to learn in, then months that count, one after another."""

from dataclasses import dataclass
from datetime import date, timedelta

from models.experiments.fields import wrong
from models.experiments.spec import ExperimentSpec

SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Window:
    """The colony learns from `warmup_start` on and is scored in start <= day < end."""

    key: str
    warmup_start: date
    start: date
    end: date


def windows_of(spec: ExperimentSpec) -> tuple[Window, ...]:
    """Return the windows in order; the scored stretches follow each other without a gap.

    Without walk_forward it is one window over all dates. Raises ExperimentError where the dates
    leave nothing to score.
    """
    last = spec.end + timedelta(days=1)
    plan = spec.walk_forward
    if plan is None:
        return (Window("whole", spec.start, spec.start, last),)
    # Stretches begin on the first of a month, so that a partition is whole months.
    first = spec.start if spec.start.day == 1 else months_after(spec.start.replace(day=1), 1)
    windows: list[Window] = []
    start = months_after(first, plan.warmup_months)
    while start < last:
        end = min(months_after(start, plan.test_months), last)
        learns = max(spec.start, months_after(start, -plan.warmup_months))
        windows.append(Window(start.strftime("%Y-%m"), learns, start, end))
        start = end
    if not windows:
        raise wrong("end", f"after the first warm-up ({start})", str(spec.end))
    return tuple(windows)


def partition_key(spec: ExperimentSpec, window: Window) -> str:
    """Return the name of the partition that holds one window of an experiment."""
    return f"{spec.name}{SEPARATOR}{window.key}"


def split_key(key: str) -> tuple[str, str]:
    """Return the experiment and the window that a partition key names."""
    name, separator, window = key.partition(SEPARATOR)
    if not (name and separator and window):
        raise wrong("a partition of experiments", f"EXPERIMENT{SEPARATOR}WINDOW", key)
    return name, window


def find_window(spec: ExperimentSpec, key: str) -> Window:
    """Return the window of this key; raises ExperimentError where there is none."""
    windows = windows_of(spec)
    for window in windows:
        if window.key == key:
            return window
    raise wrong(f"a window of {spec.name}", f"one of {', '.join(w.key for w in windows)}", key)


def months_after(day: date, months: int) -> date:
    """Return the first of the month so many months after the day's (before it where negative)."""
    place = day.year * 12 + day.month - 1 + months
    return date(place // 12, place % 12 + 1, 1)
