"""What every verb shares: one line for what a user can mend, and silence for a reader that left."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import typer
from pipelines.terminal import one_line_errors

def verb() -> None:
    with one_line_errors():
        BODY

typer.run(verb)
"""
SHORT, LONG = "print('a line')", "print('a line\\n' * 100_000)"
SERVER = "raise BrokenPipeError(32, 'the server hung up')"


def _run(body: str, output: int) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", PROGRAM.replace("BODY", body)]
    return subprocess.run(
        program, stdout=output, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("body", [SHORT, LONG])
def test_a_reader_that_has_left_ends_a_verb_without_a_word(body: str) -> None:
    """What waits in the buffer is silent too: Python would complain of it at the exit."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        ended = _run(body, write_end)
    finally:
        os.close(write_end)
    assert "BrokenPipe" not in ended.stderr
    assert "Broken pipe" not in ended.stderr
    assert ended.returncode != 0


def test_the_broken_pipe_of_a_server_is_told() -> None:
    ended = _run(SERVER, subprocess.PIPE)
    assert "apiary: [Errno 32] the server hung up" in ended.stderr


def test_what_goes_to_a_pipe_is_not_cut_off_at_the_width_of_a_terminal() -> None:
    told = "2020-03-16 20:00 " * 9
    ended = _run(f"from pipelines.terminal import wide; wide().print('{told}')", subprocess.PIPE)
    assert told.strip() in ended.stdout
