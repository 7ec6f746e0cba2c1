"""What the operating system's signals ask of a trader."""

import asyncio
import signal

from trader.kill_switch import Halt
from trader.loop import Trader


def obey_signals(trader: Trader) -> None:
    """USR1 halts, USR2 halts and flattens, TERM and INT cancel what works and leave."""
    loop = asyncio.get_running_loop()
    for number, flatten in ((signal.SIGUSR1, False), (signal.SIGUSR2, True)):
        halt = Halt(reason=f"{number.name} was sent", actor="signal", flatten=flatten)
        loop.add_signal_handler(number, trader.desk.switch.pull, halt)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, trader.leave)
