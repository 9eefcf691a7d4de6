"""What steps have said is kept once they have ended, whatever language their run is in."""

import asyncio
import logging
from typing import Final

from wherry.client.client import Client
from wherry.metadata.records import Execution
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.history.logs import Logs, Place
from wherry.pipelines.steps.draft import MAIN

logger = logging.getLogger("wherry.pipelines.logs")

_LOGS_AT_ONCE: Final = 8
_LOG_SECONDS: Final = 60.0


class LogKeeper:
    """Keeps what steps have said."""

    def __init__(self, client: Client, logs: Logs) -> None:
        """Take what it works with.

        Args:
            client: Reads what steps have said.
            logs: Keep it.
        """
        self._client = client
        self._logs = logs
        self._at_once = asyncio.Semaphore(_LOGS_AT_ONCE)

    async def keep(self, uid: str, row: Execution, pod: Object) -> None:
        """Keep what a step has said. That it cannot be had any more is no reason to wait.

        Args:
            uid: Id of the run.
            row: Of the step.
            pod: Its pod, which has ended.
        """
        place = Place(uid, row.path, row.attempt)
        name, namespace = metadata.name(pod), metadata.namespace(pod)
        try:
            async with self._at_once, asyncio.timeout(_LOG_SECONDS):
                await self._logs.keep(place, self._client.log(name, namespace, container=MAIN))
        except (errors.NotFoundError, errors.BadRequestError):
            pass  # it has never said anything
        except (errors.ApiError, OSError, TimeoutError) as error:
            logger.warning("the log of %s/%s is not kept: %s", namespace, name, error)
