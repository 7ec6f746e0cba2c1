"""What a strategy may not keep outside its own file, read off its text.

The guard loads a strategy's module anew before it cuts the future off: what the module's own names
hold is forgotten then. What was put on a library's class, on an object that a library hands out
twice, or on the class of what it was given is not, and would tell of the whole market. Text alone
is judged: a fence against mistakes and not against a person who means to climb it.
"""

import ast
import re
from collections.abc import Iterator

from models.experiments.fields import ExperimentError

# What a process keeps beside a module's own names, and what the settings of a machine say.
_BEYOND = re.compile(r"environb?|(?:get|put)env|builtins|__dict__|__class__")
# These hand out the same object at every call, in every module.
_SHARED = frozenset({"type", "getLogger", "import_module", "current_thread", "main_thread"})
_SETTINGS = frozenset({"options", "rcParams"})  # of a library, that a strategy may choose
_CHANGING = frozenset({"setdefault", "update", "extend"})


def check_keepers(tree: ast.Module) -> None:
    """Raise ExperimentError, one line, where a module's text keeps something outside itself."""
    shared = _imported(tree)
    while found := _aliases(tree, shared) - shared:
        shared |= found
    for node in ast.walk(tree):
        kept = next(_kept(node, shared), None)
        if kept is not None:
            raise ExperimentError(
                f"a strategy must keep what it knows within its own file, "
                f"uses {kept} in line {getattr(node, 'lineno', 0)}"
            )


def _imported(tree: ast.Module) -> set[str]:
    return {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def _aliases(tree: ast.Module, shared: set[str]) -> set[str]:
    """Return the names that a module gives to what is shared with others, and to nothing else."""
    given = [
        (target.id, _is_shared(node.value, shared))
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else (node.target,))
        if isinstance(target, ast.Name)
    ]
    return {name for name, is_shared in given if is_shared} - {
        name for name, is_shared in given if not is_shared
    }


def _is_shared(owner: ast.expr, shared: set[str]) -> bool:
    """Say whether an expression is an object that outlives the module: of a library, or a class.

    What a call made is the module's own, but for calls that give the same object every time.
    """
    while isinstance(owner, ast.Attribute | ast.Subscript):
        if isinstance(owner, ast.Attribute) and owner.attr in _SETTINGS:
            return False
        owner = owner.value
    if isinstance(owner, ast.Call):
        called = owner.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return name in _SHARED and len(owner.args) < 2  # of three, `type` makes a class
    return isinstance(owner, ast.Name) and owner.id in shared


def _kept(node: ast.AST, shared: set[str]) -> Iterator[str]:
    """Give the names by which a node writes into what is shared, or reaches beyond all."""
    yield from (name for name in names_of(node) if _BEYOND.fullmatch(name.split(".")[0]))
    if isinstance(node, ast.Call):
        yield from _changed_by(node, shared)
    if not isinstance(node, ast.Attribute | ast.Subscript):
        return
    is_setting = isinstance(node, ast.Attribute) and node.attr in _SETTINGS
    is_written = isinstance(node.ctx, ast.Store | ast.Del) and not is_setting
    if ast.unparse(node) == "sys.modules" or (is_written and _is_shared(node.value, shared)):
        yield ast.unparse(node)


def _changed_by(call: ast.Call, shared: set[str]) -> Iterator[str]:
    """Give what a call changes of what is shared, as it is written."""
    called = call.func
    sets = isinstance(called, ast.Name) and called.id in ("setattr", "delattr", "vars")
    if sets and call.args and _is_shared(call.args[0], shared):
        yield f"{ast.unparse(called)}({ast.unparse(call.args[0])})"
    if isinstance(called, ast.Attribute) and called.attr in _CHANGING:
        owner = called.value  # a function of a library itself may have such a name
        if not isinstance(owner, ast.Name) and _is_shared(owner, shared):
            yield f"{ast.unparse(called)}()"


def names_of(node: ast.AST) -> tuple[str, ...]:
    """Return what an expression or an import names."""
    if isinstance(node, ast.Attribute):
        return (node.attr,)
    if isinstance(node, ast.Import):
        return tuple(alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "", *(alias.name for alias in node.names))
    return ()
