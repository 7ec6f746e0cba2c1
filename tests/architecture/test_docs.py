"""What the documents say is there: paths, commands and environment variables."""

import re
from pathlib import Path

from typer.main import get_command

from benchmarks.results_table import with_results_table
from pipelines.cli import app
from pipelines.settings import Environment

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
TOP = ("pipelines", "assets", "adapters", "models", "features", "swarm_core", "config", "docs")
TOP += ("tests", "gateway_simulator", "trader", "benchmarks", "notebooks", "dagster_home", ".ci")


def test_every_path_that_a_page_names_exists() -> None:
    missing = []
    for page in PAGES:
        for found in re.findall(r"`([\w./-]+/[\w./-]*)`", page.read_text()):
            if found.split("/")[0] in TOP and not list(ROOT.glob(found.rstrip("/"))):
                missing.append(f"{page.relative_to(ROOT)}: {found}")
    assert not missing


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {t for page in PAGES for t in re.findall(r"`make ([a-z]+)`", page.read_text())}
    assert named <= targets


def test_every_apiary_command_that_a_page_names_exists() -> None:
    command = get_command(app)
    known = set(command.commands)  # type: ignore[attr-defined]  # a group has commands
    named = {c for page in PAGES for c in re.findall(r"`apiary ([a-z-]+)", page.read_text())}
    assert named <= known


def test_the_example_environment_lists_exactly_what_is_read() -> None:
    listed = set(re.findall(r"^(APIARY_\w+)=", (ROOT / ".env.example").read_text(), re.M))
    read = {f"APIARY_{name.upper()}" for name in Environment.model_fields}
    assert listed == read


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_the_table_of_measurements_tells_the_kept_results() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_results_table(text) == text


def test_links_to_a_heading_of_a_page_find_it() -> None:
    broken = []
    for page in (p for p in PAGES if p.parent.name != "decisions"):  # those are never edited
        for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", page.read_text()):
            goal = page.parent / target if target else page
            titles = re.findall(r"^#+ (.*)$", goal.read_text(), re.M)
            if heading not in {_anchor(title) for title in titles}:
                broken.append(f"{page.relative_to(ROOT)}: {target}#{heading}")
    assert not broken


def _anchor(title: str) -> str:
    """Return a heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_every_option_of_a_command_that_a_page_names_exists() -> None:
    unknown = []
    for page in PAGES:
        for line in re.findall(
            r"(?:^|`)(?:\.venv/bin/)?apiary ([a-z][^#`\n]*)", page.read_text(), re.M
        ):
            command, words = get_command(app), line.split()
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            known = {"--help"} | {name for parameter in command.params for name in parameter.opts}
            known |= {name for parameter in command.params for name in parameter.secondary_opts}
            options = {word.strip("[]()").partition("|")[0] for word in words if "--" in word}
            unknown += [f"{page.name}: {line} {o}" for o in options - known if o.startswith("--")]
    assert not unknown


def test_every_method_that_a_page_names_exists() -> None:
    sources = [path.read_text() for top in TOP for path in (ROOT / top).rglob("*.py")]
    missing = []
    for page in PAGES:
        for owner, name in re.findall(r"`([A-Z][A-Za-z]+)\.([a-z]\w+)[`(]", page.read_text()):
            homes = [text for text in sources if re.search(rf"^class {owner}\b", text, re.M)]
            found = any(re.search(rf"\bdef {name}\b|\b{name}:", text) for text in homes)
            if homes and not found:
                missing.append(f"{page.name}: {owner}.{name}")
    assert not missing
