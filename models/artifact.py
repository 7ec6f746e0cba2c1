"""The bytes of a fitted model: a hash, a JSON header and LightGBM's own text, never a pickle."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MAGIC = b"APIARY-MODEL 1\n"
VERSION_LENGTH = 16  # hex digits: 64 bits, far beyond any number of models ever trained


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a raw score becomes a forecast and an expected return.

    expected_return = intercept + slope * score, a fraction over the label's horizon. Where a
    decision has too few names for a cross-section, forecast = (score - mean) / std.
    """

    slope: float
    intercept: float
    score_mean: float
    score_std: float
    relative: bool  # True: in excess of the cross-section's mean


@dataclass(frozen=True, slots=True)
class Artifact:
    """A decoded model, ready to predict with once its text is given to LightGBM."""

    name: str
    feature_names: tuple[str, ...]
    settings: Mapping[str, object]
    calibration: Calibration
    data_hash: str
    library: str
    model_text: str


def encode(artifact: Artifact) -> bytes:
    """Return the same bytes for the same model, whatever the machine or the moment."""
    text = artifact.model_text.encode()
    header = {
        "name": artifact.name,
        "feature_names": list(artifact.feature_names),
        "settings": dict(artifact.settings),
        "calibration": asdict(artifact.calibration),
        "data_hash": artifact.data_hash,
        "library": artifact.library,
    }
    line = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    body = line.encode() + b"\n" + text
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decode(data: bytes) -> Artifact:
    """Return the model in the bytes. Raises ValueError where they are not one, or were changed."""
    if not data.startswith(MAGIC):
        raise ValueError(f"a model artifact must begin with {MAGIC!r}, began with {data[:16]!r}")
    expected, _, body = data[len(MAGIC) :].partition(b"\n")
    found = hashlib.sha256(body).hexdigest().encode()
    if found != expected:
        raise ValueError(f"a model artifact must have sha256 {expected!r}, had {found!r}")
    line, _, text = body.partition(b"\n")
    try:
        return _from_header(json.loads(line), text.decode())
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the header of a model artifact must be readable: {error!r}") from error


def _from_header(header: dict[str, Any], model_text: str) -> Artifact:
    return Artifact(
        name=header["name"],
        feature_names=tuple(header["feature_names"]),
        settings=header["settings"],
        calibration=Calibration(**header["calibration"]),
        data_hash=header["data_hash"],
        library=header["library"],
        model_text=model_text,
    )


def model_version(data: bytes) -> str:
    """Return the version of an artifact: the head of its content's sha256."""
    return hashlib.sha256(data).hexdigest()[:VERSION_LENGTH]
