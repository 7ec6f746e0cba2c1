"""Feast, imported when first needed and at half the price."""

from types import ModuleType
from typing import Any

import typeguard


def load_feast() -> ModuleType:
    """Import Feast without letting typeguard rewrite its classes, and return it.

    Feast decorates its classes for typeguard, which parses a whole module anew for every method:
    measured, half of the seconds that `import feast` takes (9 s became 5 s), in every process.
    Feast checks no differently afterwards what it stores; only the annotations of its
    constructors go unenforced, and ours are checked by pyright.
    """
    original = typeguard.typechecked
    typeguard.typechecked = _unchanged
    try:
        import feast
    finally:
        typeguard.typechecked = original
    return feast


def _unchanged(target: Any = None, **_options: object) -> Any:
    return target if target is not None else _unchanged
