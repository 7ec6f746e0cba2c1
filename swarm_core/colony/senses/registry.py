"""Which senses there are: those of this folder, those a tenant registers, those named by module."""

from importlib import import_module
from pkgutil import iter_modules

from swarm_core.colony import senses
from swarm_core.colony.sense import Sense


def _sense_in(module: str) -> Sense | None:
    """Return the module's SENSE; None where it has none."""
    found: object = getattr(import_module(module), "SENSE", None)
    return found if isinstance(found, Sense) else None


def _shipped() -> dict[str, Sense]:
    """Return the senses of this folder by name: a file that holds a SENSE is all that one takes."""
    found: dict[str, Sense] = {}
    for entry in iter_modules(senses.__path__):
        module = f"{senses.__name__}.{entry.name}"
        sense = None if module == __name__ else _sense_in(module)
        if sense is not None:
            found[sense.name] = sense
    return found


_SENSES: dict[str, Sense] = _shipped()


def register(sense: Sense) -> Sense:
    """Make a sense known by its name; the same sense may be registered again, another may not.

    Raises ValueError where a different sense has the name.
    """
    present = _SENSES.setdefault(sense.name, sense)
    if present != sense:
        raise ValueError(f"sense {sense.name} must be registered once, was registered differently")
    return sense


def get_sense(name: str) -> Sense:
    """Return a sense: one of sense_names(), or the SENSE of a module (`my_package.value_gap`).

    Raises ValueError where nobody registered it, or the module is not there or holds none.
    """
    if name in _SENSES:
        return _SENSES[name]
    if "." not in name:
        raise ValueError(f"sense must be one of {sorted(_SENSES)}, was {name!r}")
    try:
        sense = _sense_in(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"sense {name} must be a module that can be imported: {error}") from error
    if sense is None:
        raise ValueError(f"sense {name} must be a module that holds a SENSE, held none")
    return register(sense)


def sense_names() -> tuple[str, ...]:
    """Return the names of all registered senses, sorted."""
    return tuple(sorted(_SENSES))
