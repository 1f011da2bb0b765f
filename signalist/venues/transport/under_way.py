"""Questions to venues that nobody waits for: they are asked side by side, and each answer is collected when it is there.

So one venue that takes ten seconds keeps only its own answer waiting, and answers that come together are written together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class UnderWay(Generic[K, T]):
    """What is being asked, by key: one question a key at a time. `news` is called in the event loop when an answer is there."""

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self._tasks: dict[K, asyncio.Task[T]] = {}
        self._answers: list[tuple[K, asyncio.Task[T]]] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: K) -> bool:
        return key in self._tasks

    @property
    def has_answers(self) -> bool:
        """Whether there is something to collect."""
        return bool(self._answers)

    def in_hand(self) -> list[K]:
        """What is being asked about, or has been and was not collected yet."""
        return [*self._tasks, *(key for key, _ in self._answers)]

    def ask(self, key: K, question: Coroutine[Any, Any, T]) -> None:
        """Begin to ask. Raises ValueError where this key is being asked about."""
        if key in self._tasks:
            question.close()
            raise ValueError(f"{key!r} is being asked about already.")
        task = asyncio.get_running_loop().create_task(question)
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._answered(key, done))

    def collect(self) -> list[tuple[K, T]]:
        """The answers that have come since the last time, in the order in which they came. Raises what a question raised."""
        answers, self._answers = self._answers, []
        return [(key, task.result()) for key, task in answers]

    async def end(self, within: float) -> None:
        """Give what is being asked so many seconds, then give it up; answers that came may still be collected."""
        if self._tasks and within > 0:
            await asyncio.wait(list(self._tasks.values()), timeout=within)
        left = list(self._tasks.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _answered(self, key: K, task: asyncio.Task[T]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            self._answers.append((key, task))
            self._news()
