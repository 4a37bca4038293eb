"""Queries that arrive together are answered together: one call of a solution at a time, with all that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from eval.contracts import Prediction, Solution
from eval.errors import InfrastructureError

MOST_TOGETHER = 32
"""Queries in one call: a batch of as many keeps all cores busy, and no one waits long for others' answers."""
MOST_WAITING = 512
"""Queries that may wait; who comes later is told at once, instead of waiting for longer than clients do."""
GATHERING_SECONDS = 0.003
"""How long a query that finds the solution free waits for company; small beside what an answer takes."""

Waiting = tuple[str, "asyncio.Future[Prediction]"]


class Gatherer:
    """Answers queries in batches, in a thread of its own. `work` must run while `ask` is called."""

    def __init__(self, solution: Solution, most: int = MOST_TOGETHER, most_waiting: int = MOST_WAITING) -> None:
        self._solution, self._most, self._most_waiting = solution, most, most_waiting
        self._waiting: asyncio.Queue[Waiting] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, "solution")

    async def ask(self, text: str) -> Prediction:
        """The answer. Raises what the solution raised for this query, and InfrastructureError where too many wait."""
        if self._waiting.qsize() >= self._most_waiting:
            raise InfrastructureError(f"{self._waiting.qsize()} queries wait already; ask again later")
        answer: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((text, answer))
        return await answer

    async def work(self) -> None:
        """Answer what waits, until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            await asyncio.sleep(GATHERING_SECONDS)
            while len(batch) < self._most and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._answer([(text, answer) for text, answer in batch if not answer.cancelled()])

    def close(self) -> None:
        """Wait for the call under way, and begin none."""
        self._thread.shutdown(cancel_futures=True)

    async def _answer(self, batch: Sequence[Waiting]) -> None:
        """One call for all; where it fails, one for each, so that a query fails for itself alone."""
        if not batch:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, self._solution.predict, [text for text, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    await self._answer([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, answer), prediction in zip(batch, found, strict=True):
            if not answer.done():  # whoever asked may have gone
                answer.set_result(prediction)
