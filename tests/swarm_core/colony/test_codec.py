"""The binary form: exact, versioned, and refusing what was changed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from swarm_core.colony import codec
from swarm_core.colony.engine import new_state
from swarm_core.colony.replay import run
from tests.swarm_core.colony.builders import make_panel, make_settings


def _encoded() -> bytes:
    settings, panel = make_settings(), make_panel(20)
    return codec.encode(run(settings, new_state(settings, panel.instrument_ids, 1), panel)[0])


def test_a_state_comes_back_exactly() -> None:
    data = _encoded()
    state = codec.decode(data)
    assert codec.encode(state) == data
    assert codec.digest(state) == data[-32:].hex()


def test_a_decoded_state_goes_on_like_the_one_that_was_encoded() -> None:
    settings, panel = make_settings(), make_panel(20)
    state, _ = run(settings, new_state(settings, panel.instrument_ids, 1), panel)
    later = make_panel(20, seed=2, time_ns=panel.time_ns + 10**18)
    first, _ = run(settings, state, later)
    second, _ = run(settings, codec.decode(codec.encode(state)), later)
    assert codec.digest(first) == codec.digest(second)


@pytest.mark.parametrize("place", [0, 20, 3_000, -40, -1])
def test_a_changed_byte_is_found(place: int) -> None:
    data = bytearray(_encoded())
    data[place] ^= 1
    with pytest.raises(ValueError, match="a colony state must"):
        codec.decode(bytes(data))


def test_a_torn_state_is_refused() -> None:
    with pytest.raises(ValueError, match="must end with its own sha256"):
        codec.decode(_encoded()[:-100])


_DAY = 86_400.0
_THEN = {"half_life_s": [_DAY, _DAY, 5 * _DAY, 21 * _DAY, 5 * _DAY]}  # the defaults of old states
_QUEEN_THEN = {"budget_exact_enabled": False}
_DRONE_THEN = {"simple_returns_enabled": False, "drift_weights_enabled": False}
_TRUST_THEN = {
    "horizons": [1, 5], "horizon_weights": [0.7, 0.3], "cost_bps": 5.0, "memory_cost_part": 1.0,
}  # fmt: skip


def test_a_state_of_version_1_is_read_and_goes_on_under_the_settings_that_made_it() -> None:
    settings = make_settings(
        senses=["carry", "model_forecast"],
        memory_bars=8,
        trails=_THEN,
        trust=_TRUST_THEN,
        queen=_QUEEN_THEN,
        drone=_DRONE_THEN,
        worker={"engagement_prior": 0.3, "threshold_gain": 2.0},
    )
    old = Path(__file__).with_name("state_version_1.bin").read_bytes()
    state = codec.decode(old)
    panel = make_panel(20, 3)
    assert state.instrument_ids == panel.instrument_ids
    assert state.steps == 20
    assert state.trust.candidate.sum() == pytest.approx(1.0, abs=1e-9)
    later = make_panel(20, 3, seed=2, time_ns=panel.time_ns + 10**18)
    end, records = run(settings, state, later)
    assert np.isfinite(records.target_weights).all()
    np.testing.assert_allclose(records.trust.sum(axis=1), 1.0, atol=1e-9)
    assert codec.digest(codec.decode(codec.encode(end))) == codec.digest(end)


def test_a_state_of_version_2_is_read_and_keeps_the_name_that_the_log_knows_it_by() -> None:
    settings = make_settings(
        senses=["carry", "model_forecast"],
        memory_bars=8,
        trails=_THEN,
        trust=_TRUST_THEN,
        queen=_QUEEN_THEN,
        drone=_DRONE_THEN,
        worker={"engagement_prior": 0.9, "threshold_gain": 2.0},
    )
    old = Path(__file__).with_name("state_version_2.bin").read_bytes()
    state = codec.decode(old)
    assert codec.stored_digest(old) == old[-32:].hex() != codec.digest(state)
    assert (state.book.stake[0], state.book.friction.sum()) == (1.0, 0.0)
    panel = make_panel(20, 3)
    later = make_panel(20, 3, seed=2, time_ns=panel.time_ns + 10**18)
    end, records = run(settings, state, later)
    assert np.isfinite(records.target_weights).all()
    assert codec.digest(codec.decode(codec.encode(end))) == codec.digest(end)


def _forged(data: bytes, old: str, new: str, more: bytes = b"") -> bytes:
    """Return the state with a text in its header replaced, bytes behind its arrays, and its sum."""
    start = data.index(b"{")
    size = int.from_bytes(data[start - 8 : start], "little")
    header = json.dumps(json.loads(data[start : start + size]))
    assert old in header
    text = header.replace(old, new, 1).encode()
    out = data[: start - 8] + len(text).to_bytes(8, "little") + text + data[start + size : -32]
    return out + more + hashlib.sha256(out + more).digest()


@pytest.mark.parametrize(
    ("old", "new", "more", "message"),
    [
        ("{", "{", bytes(8), "a colony state must end with its arrays, 8 bytes on"),
        (
            '"scouts", "status", "<i8"',
            '"scouts", "status", "<f8"',
            b"",
            "status must be of type <i8",
        ),
        ('"version"', '"edition"', b"", "version of a colony state must be 3, was None"),
    ],
)
def test_what_no_colony_has_written_is_refused_though_its_sum_is_right(
    old: str, new: str, more: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        codec.decode(_forged(_encoded(), old, new, more))
