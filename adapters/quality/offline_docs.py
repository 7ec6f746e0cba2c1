"""Data Docs that open without a network: local style, no scripts from elsewhere, own index."""

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_STYLE = Path(__file__).with_name("data_docs.css")
_REMOTE_STYLE = re.compile(r'<link[^>]*href="https?://[^"]*"[^>]*/?>')
_REMOTE_SCRIPT = re.compile(r'<script[^>]*src="https?://[^"]*"[^>]*>\s*</script>')
# Scripts of the page need jquery and vega, which were removed: they would only raise errors.
_INLINE_SCRIPT = re.compile(r"<script>.*?</script>", re.DOTALL)
_REMOTE_IMAGE = re.compile(r'<img[^>]*src="https?://[^"]*"[^>]*/?>', re.DOTALL)
_REMOTE_URL = re.compile(r"url\(['\"]?https?://[^)]*\)")
_MARK = "<!-- offline -->"


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """One run of a suite, as the index lists it."""

    table: str
    run_name: str
    success: bool
    evaluated: int
    unsuccessful: int
    page: Path


def make_offline(site: Path) -> None:
    """Rewrite the pages below `site` that still reach for the network; others are left."""
    style = _STYLE.read_text(encoding="utf-8")
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if _MARK not in text:
            page.write_text(_without_network(text, style), encoding="utf-8")


def _without_network(text: str, style: str) -> str:
    for pattern in (_REMOTE_STYLE, _REMOTE_SCRIPT, _INLINE_SCRIPT, _REMOTE_IMAGE):
        text = pattern.sub("", text)
    text = _REMOTE_URL.sub("none", text)
    return text.replace("</head>", f"<style>{style}</style>{_MARK}</head>", 1)


def read_results(results: Path, site: Path) -> list[SuiteResult]:
    """Return every stored run that has a page on the site, newest first."""
    found: list[SuiteResult] = []
    for path in results.rglob("*.json"):
        page = site / "validations" / path.relative_to(results).with_suffix(".html")
        if not page.is_file():
            continue
        document = json.loads(path.read_text(encoding="utf-8"))
        statistics = document["statistics"]
        found.append(
            SuiteResult(
                table=document["suite_name"],
                run_name=path.parent.name,
                success=bool(document["success"]),
                evaluated=int(statistics["evaluated_expectations"]),
                unsuccessful=int(statistics["unsuccessful_expectations"]),
                page=page,
            )
        )
    return sorted(found, key=lambda result: result.run_name, reverse=True)


def write_index(site: Path, results: Iterable[SuiteResult], suites: Iterable[str]) -> Path:
    """Write the site's index: every run with its outcome and page, newest first; the suites."""
    rows = "".join(_index_row(site, result) for result in results)
    links = "".join(
        f'<li><a href="expectations/{html.escape(name)}.html">{html.escape(name)}</a></li>'
        for name in sorted(suites)
        if (site / "expectations" / f"{name}.html").is_file()
    )
    page = site / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>Data Docs</title><style>{_STYLE.read_text(encoding='utf-8')}</style>{_MARK}"
        "</head><body><div class='container-fluid'><h1>Data Docs</h1>"
        "<h2>Validation results</h2><table class='table'><thead><tr><th>Outcome</th>"
        "<th>Table</th><th>Run</th><th>Expectations</th><th>Not met</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><h2>Expectation suites</h2><ul>{links}</ul>"
        "</div></body></html>",
        encoding="utf-8",
    )
    return page


def _index_row(site: Path, result: SuiteResult) -> str:
    link = result.page.relative_to(site).as_posix()
    outcome = ("ok", "met") if result.success else ("bad", "not met")
    return (
        f"<tr><td class='{outcome[0]}'>{outcome[1]}</td><td>{html.escape(result.table)}</td>"
        f"<td><a href='{html.escape(link)}'>{html.escape(result.run_name)}</a></td>"
        f"<td>{result.evaluated}</td><td>{result.unsuccessful}</td></tr>"
    )
