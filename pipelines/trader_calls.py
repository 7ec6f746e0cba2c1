"""What the commands ask of the running trader over HTTP, on this machine."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from pipelines.settings import ApiarySettings
from trader.control import make_token
from trader.heartbeat import find_heartbeat, heartbeat_path

_TIMEOUT_S = 10.0


def ask_trader(settings: ApiarySettings, path: str, body: Mapping[str, object]) -> str:
    """Post to the trader of the home, e.g. to `/halt`; return what it told.

    Raises ValueError with its own words where it refuses, or where it tells no port yet, and
    OSError where it does not answer.
    """
    port = (find_heartbeat(heartbeat_path(settings.home)) or {}).get("control_port")
    if not port:
        raise ValueError("the trader must tell its control port, has not: try again in a moment")
    token = make_token(settings.home / "control" / "token")
    try:
        answer = httpx.post(
            f"http://127.0.0.1:{port}{path}",
            content=json.dumps(body),
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_S,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise OSError(f"the trader must answer on port {port}: {error}") from error
    told: dict[str, Any] = answer.json()
    if answer.status_code != httpx.codes.ACCEPTED:
        raise ValueError(str(told.get("error", told)))
    return str(told.get("told", ""))
