"""Images that are being made ready for a pod, and how long to wait after a failure.

Source: the kubelet's image manager: reasons, events and back-off.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable
from dataclasses import dataclass

from wherry.kubelet.runtime import Image, ImageError, ImageRequest, PodRuntime
from wherry.kubelet.settings import BackOffSettings
from wherry.kubelet.views import Waiting
from wherry.objects.requests import Object

_BACKS_OFF = "ErrImagePull"
_PROGRESS_SECONDS = 10.0
_MOST_CHARACTERS = 1000
_EVENTS = {"InvalidImageName": "InspectFailed", "ErrImageNeverPull": "ErrImageNeverPull"}


@dataclass(slots=True)
class _Pull:
    key: tuple[str, str]
    task: asyncio.Task[Image] | None = None
    error: str = ""
    reason: str = _BACKS_OFF
    failures: int = 0
    retry_at: float = 0.0
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class Tell:
    """Whom to tell: `event` with type, reason and message, `wake` when there is something to do."""

    event: Callable[[str, str, str], None]
    wake: Callable[[], None]
    wake_in: Callable[[float], None]


class Pulls:
    """The images of one pod."""

    def __init__(
        self,
        runtime: PodRuntime,
        back_off: BackOffSettings,
        tell: Tell,
        *,
        asks: Callable[[Object], ImageRequest],
    ) -> None:
        """Take what it works with.

        Args:
            runtime: Has the images.
            back_off: Waits after failures.
            tell: Whom to tell.
            asks: Returns what a container asks for.
        """
        self._runtime = runtime
        self._back_off = back_off
        self._tell = tell
        self._asks = asks
        self._pulls: dict[tuple[str, str], _Pull] = {}
        self._warned: set[str] = set()

    def get(self, container: Object) -> Image | Waiting | None:
        """Return a container's image, or why it cannot be had now, or None while it is on its way."""
        request = self._asks(container)
        name, key = request.name, (request.name, request.requirements)
        pull = self._pulls.setdefault(key, _Pull(key))
        if pull.task is not None:
            return self._look(name, pull)
        if pull.error and time.monotonic() < pull.retry_at:
            return self._backing_off(name, pull)
        try:
            image = self._runtime.ready(request)
            if image is None:
                self._begin(request, pull)
        except ImageError as error:
            return self._failed(name, pull, error)
        if image is not None:
            self._note(image, pull, f'Container image "{name}" already present on machine')
        return image

    def again(self) -> None:
        """Forget the waits: what images depend on has changed."""
        for pull in self._pulls.values():
            pull.retry_at = 0.0

    def close(self) -> None:
        """Stop waiting for images. Builds and pulls that others share go on."""
        for pull in self._pulls.values():
            if pull.task is not None:
                pull.task.cancel()
        self._pulls.clear()

    def _begin(self, request: ImageRequest, pull: _Pull) -> None:
        self._tell.event("Normal", *self._runtime.preparing(request))
        pull.began = time.monotonic()
        pull.task = asyncio.get_running_loop().create_task(
            self._runtime.pull(request, self._progress(request)), context=contextvars.Context()
        )
        pull.task.add_done_callback(lambda _: self._tell.wake())

    def _progress(self, request: ImageRequest) -> Callable[[str], None]:
        """Return what tells of progress, not more often than people read events."""
        reason, title = self._runtime.preparing(request)
        due = time.monotonic() + _PROGRESS_SECONDS

        def tell(line: str) -> None:
            nonlocal due
            now = time.monotonic()
            if now >= due:
                due = now + _PROGRESS_SECONDS
                self._tell.event("Normal", reason, f"{title}: {line}"[:_MOST_CHARACTERS])

        return tell

    def _look(self, name: str, pull: _Pull) -> Image | Waiting | None:
        task = pull.task
        if task is None or not task.done():
            return None
        pull.task = None
        if task.cancelled():
            return None
        error = task.exception()
        if error is None:
            image = task.result()
            took = f"{time.monotonic() - pull.began:.3f}s"
            size = "" if image.size_bytes is None else f" Image size: {image.size_bytes} bytes."
            self._note(
                image,
                pull,
                f'Successfully pulled image "{name}" in {took} ({took} including waiting).{size}',
            )
            return image
        return self._failed(name, pull, error)

    def _note(self, image: Image, pull: _Pull, message: str) -> None:
        self._pulls.pop(pull.key, None)
        self._tell.event("Normal", "Pulled", message)
        if image.warning and image.name not in self._warned:
            self._warned.add(image.name)
            self._tell.event("Warning", image.warning_reason, image.warning)

    def _failed(self, name: str, pull: _Pull, error: BaseException) -> Waiting:
        message = str(error)
        first = pull.error != message
        pull.error = message
        pull.reason = error.reason if isinstance(error, ImageError) else _BACKS_OFF
        doublings = min(pull.failures, 30)
        seconds = min(self._back_off.image_seconds * 2**doublings, self._back_off.maximum_seconds)
        pull.failures += 1
        pull.retry_at = time.monotonic() + seconds
        self._tell.wake_in(seconds)
        if pull.reason in _EVENTS:
            self._tell.event("Warning", _EVENTS[pull.reason], message)
            return Waiting(pull.reason, message)
        self._tell.event("Warning", "Failed", f'Failed to pull image "{name}": {message}')
        return (
            Waiting("ErrImagePull", message) if first else self._backing_off(name, pull, quiet=True)
        )

    def _backing_off(self, name: str, pull: _Pull, *, quiet: bool = False) -> Waiting:
        self._tell.wake_in(max(pull.retry_at - time.monotonic(), 0.01))
        if pull.reason in _EVENTS:
            return Waiting(pull.reason, pull.error)
        message = f'Back-off pulling image "{name}": {pull.error}'
        if not quiet:
            self._tell.event("Normal", "BackOff", message)
        return Waiting("ImagePullBackOff", message)
