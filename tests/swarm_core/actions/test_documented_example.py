"""The example of docs/fidelity.md prints what the page says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "fidelity.md"


def test_the_example_of_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.read_text()
    code, told = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", page, re.DOTALL).groups()  # type: ignore[union-attr]  # the page has both

    exec(compile(code, str(PAGE), "exec"), {"__name__": "example"})  # our own page

    assert capsys.readouterr().out == told
