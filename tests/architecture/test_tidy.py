"""The house stays tidy: short files, documented modules, no leftovers. Only ever tightened."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "pipelines",
    "gateway_simulator",
    "trader",
    "assets",
    "adapters",
    "models",
    "features",
    "swarm_core",
)
LINES_MAX = 400
FUNCTION_LINES_MAX = 60
BANNED_NAMES = {"utils", "helpers", "common", "base", "manager", "misc"}
LEFTOVERS = ("TO" + "DO", "FIX" + "ME", "X" + "XX")


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


PRODUCTION = [p for p in _tracked("*.py") if p.relative_to(ROOT).parts[0] in PACKAGES]


@pytest.mark.parametrize("path", PRODUCTION, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "must open with a sentence"
    assert len(text.splitlines()) <= LINES_MAX
    assert path.stem not in BANNED_NAMES
    long = [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long


def test_nothing_is_left_for_later_in_the_code() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _tracked("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(word in line for word in LEFTOVERS)
    ]
    assert not found


def test_the_median_file_is_short() -> None:
    lengths = sorted(len(p.read_text().splitlines()) for p in PRODUCTION if p.name != "__init__.py")
    assert lengths[len(lengths) // 2] <= 130


def test_no_file_names_a_host_of_a_package_index() -> None:
    # Put together here, so that this file names none either.
    hosts = tuple(a + b for a, b in (("py", "pi.org"), ("python", "hosted.org"), ("npm", "js.org")))
    found = [
        str(path.relative_to(ROOT))
        for path in _tracked()
        if path.suffix not in {".png", ".parquet"}
        and any(h in path.read_text(errors="ignore") for h in hosts)
    ]
    assert not found


def test_only_the_settings_read_the_environment() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in PRODUCTION
        if path.relative_to(ROOT).as_posix() != "pipelines/settings.py"
        and ("os.environ" in path.read_text() or "getenv" in path.read_text())
    ]
    assert not found


def test_no_view_of_a_buffer_is_left_to_the_garbage_collector() -> None:
    """CPython 3.12.1 crashes where it frees `BytesIO.getbuffer()` in a cycle, as a traceback is."""
    found = [str(path.relative_to(ROOT)) for path in PRODUCTION if "getbuffer(" in path.read_text()]
    assert not found, "take `getvalue()`, which copies nothing"
