"""Questions to venues that nobody waits for: they are asked side by side, and each answer is collected when it is there.

So one venue that takes ten seconds keeps only its own answer waiting, and answers that come together are written together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class UnderWay(Generic[K, T]):
    """What is being asked, by key: one question a key at a time. `news` is called in the event loop when an answer is there."""

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self._tasks: dict[K, asyncio.Task[T]] = {}
        self._answers: list[tuple[K, asyncio.Task[T]]] = []
        self._collected: list[tuple[K, asyncio.Task[T]]] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: K) -> bool:
        return key in self._tasks

    @property
    def has_answers(self) -> bool:
        """Whether there is something to collect."""
        return bool(self._answers)

    def in_hand(self) -> list[K]:
        """What is being asked about, or has been and is not dealt with yet."""
        return [*self._tasks, *(key for key, _ in self._answers), *(key for key, _ in self._collected)]

    def ask(self, key: K, question: Coroutine[Any, Any, T]) -> None:
        """Begin to ask. Raises ValueError where this key is being asked about."""
        if key in self._tasks:
            question.close()
            raise ValueError(f"{key!r} is being asked about already.")
        task = asyncio.get_running_loop().create_task(question)
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._answered(key, done))

    @contextmanager
    def collected(self) -> Iterator[list[tuple[K, T]]]:
        """The answers that have come since the last time, in the order in which they came. They stay in hand until the block has ended;
        where it raises, they are there to be collected again, so that what a venue has said is not lost with one failed write.

        Raises what a question raised, once; the other answers stay.
        """
        if self._collected:
            raise RuntimeError("The answers that were collected before are not dealt with yet.")
        self._collected, self._answers = self._answers, []
        try:
            yield [(key, self._told(key, task)) for key, task in self._collected]
        except BaseException:
            self._answers = self._collected + self._answers
            raise
        finally:
            self._collected = []

    def _told(self, key: K, task: asyncio.Task[T]) -> T:
        try:
            return task.result()
        except BaseException:
            self._collected = [answer for answer in self._collected if answer[1] is not task]
            raise

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
