"""Files that are read alike as one table: a pattern, and the symbol out of the name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from adapters.sources.file_names import FILE_NAME
from adapters.sources.mapping import Field, TableMapping
from adapters.sources.name_days import ANY_DAY, BLANK, days_in
from adapters.sources.partitions import rules_of

_BY_NAME = Field(template="{symbol}", upper=True)


def glob_of(relative: str) -> str:
    """Return the pattern that matches one file alone."""
    return re.sub(r"([\[\]*?])", r"[\1]", relative)


def with_patterns(folder: Path, tables: Sequence[TableMapping]) -> tuple[TableMapping, ...]:
    """Return one table for all that differ in nothing but their files and the symbol these tell.

    The files are one pattern where a pattern matches them and no other file of the folder, else a
    list. Tables whose symbol is told by no rule of the name stay as they are.
    """
    alike: dict[str, list[TableMapping]] = {}
    for table in tables:
        symbol = None if _constant(table) else table.symbol
        alike.setdefault(repr(replace(table, files=(), symbol=symbol)), []).append(table)
    made: list[TableMapping] = []
    for group in alike.values():
        made += [_merged(folder, group)] if len(group) > 1 and _is_told(group) else group
    return tuple(made)


def _constant(table: TableMapping) -> str | None:
    symbol = None if table.symbol is None else table.symbol.constant
    return symbol if isinstance(symbol, str) else None


def _is_told(group: Sequence[TableMapping]) -> bool:
    return _constant(group[0]) is None or _symbol_rule(group) is not None


def _merged(folder: Path, group: Sequence[TableMapping]) -> TableMapping:
    files = _pattern(folder, [_relative(table) for table in group])
    if _constant(group[0]) is None:
        return replace(group[0], files=files)
    return replace(group[0], files=files, symbol=_BY_NAME, file_name=_symbol_rule(group))


def _relative(table: TableMapping) -> str:
    return re.sub(r"\[([\[\]*?])\]", r"\1", table.files[0])


def _symbol_rule(group: Sequence[TableMapping]) -> str | None:
    """Return the regular expression that finds each file's symbol in its path, or None."""
    named = [(_relative(table), str(_constant(table))) for table in group]
    relative, symbol = named[0]
    for start in range(len(relative) - len(symbol) + 1):
        before, after = relative[:start], relative[start + len(symbol) :]
        if all(_between(path, before, after) == name for path, name in named):
            return f"^{re.escape(before)}(?P<symbol>[^/]+){re.escape(after)}$"
    partitioned = rules_of([path for path, _ in named])
    rules = (*partitioned, FILE_NAME, *_dated_rules(relative, symbol))
    return next((r for r in rules if all(_found(r, path) == name for path, name in named)), None)


def _dated_rules(relative: str, symbol: str) -> Iterator[str]:
    """Yield the rules by which a path whose days differ from file to file names a symbol."""
    blanked = days_in(relative).blanked
    for match in re.finditer(re.escape(symbol), blanked, re.IGNORECASE):
        before, after = (
            ANY_DAY.join(map(re.escape, part.split(BLANK)))
            for part in (blanked[: match.start()], blanked[match.end() :])
        )
        yield f"^{before}(?P<symbol>[^/]+?){after}$"


def _found(rule: str, path: str) -> str | None:
    match = re.search(rule, path)
    return None if match is None else match["symbol"].upper()


def _between(path: str, before: str, after: str) -> str | None:
    """Return what stands between two texts, in capitals; None where they are not its ends."""
    if len(path) <= len(before) + len(after):
        return None
    if not (path.startswith(before) and path.endswith(after)):
        return None
    found = path[len(before) : len(path) - len(after)]
    return None if "/" in found else found.upper()


def _pattern(folder: Path, files: Sequence[str]) -> tuple[str, ...]:
    """Return the one pattern that matches these files and no other of the folder, else them all."""
    wanted = set(files)
    for pattern in _candidates(files):
        found = (path for path in folder.glob(pattern) if path.is_file())
        if {path.relative_to(folder).as_posix() for path in found} == wanted:
            return (pattern,)
    return tuple(glob_of(path) for path in sorted(files))


def _candidates(files: Sequence[str]) -> list[str]:
    """Return patterns, the widest first: new files of the same kind should fall under them."""
    paths = [Path(path).parts for path in files]
    ending = glob_of(_common_end([path[-1] for path in paths]))
    ending = ending[ending.index(".") :] if "." in ending else ending
    if len({len(path) for path in paths}) > 1:
        return [f"**/*{ending}"]
    wide, narrow = [], []
    for place in range(len(paths[0])):
        words = [path[place] for path in paths]
        if len(set(words)) == 1:
            wide.append(glob_of(words[0]))
            narrow.append(wide[-1])
            continue
        last = place == len(paths[0]) - 1
        wide.append(f"*{ending}" if last else "*")
        narrow.append(f"{glob_of(_common_start(words))}*{glob_of(_common_end(words))}")
    blanked = {days_in(path).blanked for path in files}
    dated = [glob_of(path).replace(BLANK, "*") for path in blanked if BLANK in path]
    return ["/".join(wide), *(dated if len(blanked) == 1 else ()), "/".join(narrow)]


def _common_end(words: Sequence[str]) -> str:
    return _common_start([word[::-1] for word in words])[::-1]


def _common_start(words: Sequence[str]) -> str:
    first, last = min(words), max(words)  # what the outermost share, all share
    same = (a == b for a, b in zip(first, last, strict=False))
    return first[: sum(1 for _ in takewhile(bool, same))]
