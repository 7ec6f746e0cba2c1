"""What files said of themselves, kept for the next time that a folder is looked at."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any
from uuid import uuid4

import polars as pl

from adapters.sources.draft import Draft
from adapters.sources.kept_frames import Shelf
from adapters.sources.mapping import Csv, TimeField, Unpivot
from adapters.sources.stamps import Stamps

_SCHEMA = {
    "relative": pl.String(),
    "sha256": pl.String(),
    "draft": pl.String(),
    "moments": pl.List(pl.Datetime("us")),
}


def load_drafts(shelf: Shelf, digests: Mapping[str, str]) -> dict[str, Draft]:
    """Return what was kept of the files that hold what these hashes say, by relative path."""
    kept = shelf.read()
    frame = None if kept is None else kept.frame(kept.note["frame"])
    if frame is None:
        return {}
    moments = frame["moments"]
    return {
        relative: _draft_from(json.loads(text), moments[row])
        for row, (relative, sha256, text) in enumerate(
            frame.select("relative", "sha256", "draft").iter_rows()
        )
        if digests.get(relative) == sha256
    }


def put_drafts(shelf: Shelf, drafts: Mapping[str, Draft], digests: Mapping[str, str]) -> None:
    """Let a later process find these drafts of files with these hashes."""
    kept = {name: draft for name, draft in drafts.items() if name in digests}
    frame = pl.DataFrame(
        {
            "relative": list(kept),
            "sha256": [digests[name] for name in kept],
            "draft": [_text_of(draft) for draft in kept.values()],
            "moments": [draft.stamps.moments.cast(pl.Datetime("us")) for draft in kept.values()],
        },
        schema=_SCHEMA,
    )
    name = uuid4().hex
    shelf.put({"frame": name}, {name: frame})


def _text_of(draft: Draft) -> str:
    plain = {f.name: getattr(draft, f.name) for f in fields(draft)}
    stamps = {f.name: getattr(draft.stamps, f.name) for f in fields(Stamps) if f.name != "moments"}
    unpivot = None if draft.unpivot is None else asdict(draft.unpivot)
    known = None if draft.known is None else asdict(draft.known)
    return json.dumps(
        plain
        | {"layout": asdict(draft.layout), "stamps": stamps, "unpivot": unpivot, "known": known}
    )


def _draft_from(plain: dict[str, Any], moments: pl.Series) -> Draft:
    unpivot, known = plain["unpivot"], plain["known"]
    symbols = [(symbol, exchange) for symbol, exchange in plain["symbols"]]
    return Draft(
        **plain
        | {
            "layout": Csv(**_tupled(plain["layout"])),
            "stamps": Stamps(**_tupled(plain["stamps"]), moments=moments),
            "parts": tuple(plain["parts"]),
            "series": tuple(plain["series"]),
            "not_null": tuple(plain["not_null"]),
            "unpivot": None if unpivot is None else Unpivot(**_tupled(unpivot)),
            "symbols": symbols,
            "known": None if known is None else TimeField(**_tupled(known)),
        }
    )


def _tupled(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the entries with their lists as the tuples that JSON does not know."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
