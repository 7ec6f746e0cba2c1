"""The line to the broker over which history is asked for: paced, in time, with honest errors."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ib_async import IB, Contract, ContractDetails

from adapters.brokers.ib_errors import Meaning, meaning_of
from adapters.brokers.ib_session import IbSession
from adapters.sources.ib.pace import Pace
from adapters.sources.web.http import SourceRefusedError, SourceUnavailableError

T = TypeVar("T")
_NO_DATA_WORDS = "returned no data"
_ATTEMPTS = 4
_WAIT_S_MAX = 8.0


@dataclass(frozen=True, slots=True)
class Told:
    """An error that came while a request was under way."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class IbLine:
    """Asks the broker, one request after the other; the connection is made when first needed."""

    def __init__(self, session: IbSession, pace: Pace) -> None:
        self._session, self._pace = session, pace
        self._opened = False

    def close(self) -> None:
        if self._opened:
            self._session.close()

    def ask(
        self,
        request: str,
        contract: str,
        make: Callable[[IB], Awaitable[T | None]],
        empty: T,
        *,
        paced: bool = True,
    ) -> T:
        """Return the answer to a request, in the broker's pace; `empty` where there are no data.

        Raises SourceRefusedError where the broker says no, and SourceUnavailableError where it does
        not answer, or says in all attempts that it is asked too often.
        """
        self._open()
        last: object = "too fast"
        for attempt in range(_ATTEMPTS):
            if paced:
                self._pace.wait(request, contract)
            try:
                answer, errors = self._session.call(self._asked(make))
            except OSError as error:
                last = error
                self._pace.sleep(min(2.0**attempt, _WAIT_S_MAX))  # it is being reached again
                continue
            faults = [told for told in errors if _is_fault(told)]
            if not faults and answer is not None:
                return answer
            if not faults:
                last = "the client gave up waiting"  # an answer that is empty is another thing
                continue
            last = faults[-1]
            if _NO_DATA_WORDS in last.text:
                return empty
            if meaning_of(last.code, last.text) is not Meaning.TOO_FAST:
                raise SourceRefusedError(f"{request} must be answered, was refused: {last}")
        raise SourceUnavailableError(f"{request} must be answered in {_ATTEMPTS} attempts: {last}")

    def _open(self) -> None:
        if self._opened:
            return
        try:
            self._session.open()
        except OSError as error:
            raise SourceUnavailableError(
                f"the gateway must be reached, was not: {error}"
            ) from error
        self._opened = True

    async def _asked(
        self, make: Callable[[IB], Awaitable[T | None]]
    ) -> tuple[T | None, list[Told]]:
        """Ask, and listen for errors: the client takes some of them for warnings and waits on."""
        client, heard = self._session.client, list[Told]()
        refused = asyncio.Event()

        def note(request_id: int, code: int, text: str, _: object) -> None:
            if request_id > 0:
                heard.append(Told(code, text))
                refused.set()

        client.errorEvent += note
        work = asyncio.ensure_future(make(client))
        waiting = asyncio.ensure_future(refused.wait())
        try:
            await asyncio.wait(
                {work, waiting},
                timeout=self._session.settings.answer_s_max,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not work.done() and not heard:
                raise TimeoutError("the gateway did not answer in time")
            return (work.result() if work.done() and not heard else None), heard
        finally:
            client.errorEvent -= note
            for task in (work, waiting):
                task.cancel()

    def details(self, contract: Contract) -> ContractDetails:
        """Return the one contract that answers to a description; SourceRefusedError otherwise."""
        name = f"contract {contract.secType} {contract.symbol}"
        none: list[Any] = []
        found: list[ContractDetails] = self.ask(
            name, name, lambda c: c.reqContractDetailsAsync(contract), none, paced=False
        )
        if len(found) != 1:
            raise SourceRefusedError(f"{name} must name one contract, did {len(found)}")
        return found[0]


def _is_fault(told: Told) -> bool:
    kinds = (Meaning.FARM_DOWN, Meaning.FARM_UP)
    return told.code not in (2106, 2107, 2174, 10167) and meaning_of(told.code) not in kinds
