"""Pool: worker processes for several services, a crew for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from ..schema import Payload
from ..services import Service
from ..settings import Settings
from . import placement, wire
from .base import Reply, Request
from .crew import Crew, Terms
from .health import Limits
from .scheduler import Scheduler


class Pool:
    """A Backend of worker processes: ``settings.workers`` for each service, each with its own
    model."""

    def __init__(self, services: Sequence[Service], settings: Settings) -> None:
        terms = Terms(
            _placements(settings, len(services)),
            settings.start_timeout,
            settings.drain,
            Limits(settings.worker_memory, settings.worker_calls, hang=settings.hang),
            wire.Log(settings.log, settings.log_level),
        )
        self._crews = {
            service: Crew(
                service,
                terms,
                lambda processes: Scheduler(
                    processes,
                    max_queue=settings.max_queue,
                    max_bytes=settings.max_queue_bytes,
                    max_delay=settings.max_delay,
                ),
            )
            for service in services
        }

    def launch(self) -> None:
        """Starts the workers' processes before there is an event loop, for ``start`` to wait for
        them. Raises OSError."""
        for crew in self._crews.values():
            crew.launch()

    async def start(self) -> None:
        try:
            await asyncio.gather(*(crew.start() for crew in self._crews.values()))
        except BaseException:
            await self.stop(0)
            raise

    async def stop(self, grace: float) -> None:
        await asyncio.gather(*(crew.stop(grace) for crew in self._crews.values()))

    async def reload(self) -> None:
        """Replaces every worker by one that imports the services anew."""
        for crew in self._crews.values():
            await crew.reload()

    def unary(self, request: Request) -> asyncio.Future[Reply]:
        return self._crews[request.method.service].unary(request)

    def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        return self._crews[request.method.service].stream(request)

    @property
    def is_ready(self) -> bool:
        return all(crew.ready for crew in self._crews.values())

    @property
    def states(self) -> Mapping[str, str]:
        return {service.name: crew.state for service, crew in self._crews.items()}

    @property
    def queued(self) -> int:
        return sum(crew.scheduler.waiting for crew in self._crews.values())


def _placements(settings: Settings, services: int) -> list[wire.Placement]:
    """One for each worker of a service."""
    threads = placement.threads(settings.workers * services)
    return [
        wire.Placement(
            settings.device[index % len(settings.device)],
            index,
            threads,
            settings.inference_mode,
            settings.channels_last,
            settings.compile,
        )
        for index in range(settings.workers)
    ]
