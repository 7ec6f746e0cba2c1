"""Dagster's web server and daemon, as a user starts them."""

import os
import signal
import sys
from typing import NoReturn

from pipelines.settings import ROOT, opened_dagster, prepare_environment


def run_dagster(host: str, port: int) -> NoReturn:
    """Become Dagster's web server and daemon on this repository: a signal to end ends them."""
    prepare_environment()
    with opened_dagster():
        pass  # its tables are there before its processes start
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(ROOT / "workspace.yaml")]
    os.chdir(ROOT)
    # Dagster ends its processes by SIGINT, which a shell lets ignore what it starts behind it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.executable, [*command, "-h", host, "-p", str(port)])
