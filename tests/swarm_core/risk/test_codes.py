"""The denial codes and their page say the same."""

from pathlib import Path

from swarm_core.risk.code_pages import denial_codes_page
from swarm_core.risk.codes import DenialCode

PAGE = Path(__file__).parents[3] / "docs" / "denial-codes.md"


def test_the_page_is_what_the_codes_say() -> None:
    assert PAGE.read_text() == denial_codes_page(), f"write denial_codes_page() to {PAGE}"


def test_every_code_is_explained_in_one_sentence() -> None:
    for code in DenialCode:
        assert code.explanation.endswith(".")
        assert code.value == code.name.lower()
