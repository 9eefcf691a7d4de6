"""The kubelet's own endpoints, read through `nodes/NAME/proxy`: statistics, metrics, pods, logs.

Nothing listens for them: the API server asks here. Who may is decided before (`nodes/proxy`).
"""

import asyncio
import html
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import orjson

from wherry.kubelet.usage import summary
from wherry.kubelet.usage.sampler import Sampler
from wherry.objects import errors
from wherry.objects.requests import Object

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_MOST_LOG_BYTES: Final = 64 * 1024 * 1024

Page = tuple[bytes, str]
"""Content, and its type."""


class NodePages:
    """The endpoints of one node.

    Args:
        node: Its name.
        sampler: Measures.
        pods: Returns the pods of the node.
        logs: The folder of the containers' logs.
    """

    def __init__(
        self,
        node: str,
        sampler: Sampler,
        pods: Callable[[], Sequence[Object]],
        logs: Path,
    ) -> None:
        self._node = node
        self._sampler = sampler
        self._pods = pods
        self._logs = logs
        self._pages: dict[str, Callable[[], Awaitable[Page]]] = {
            "healthz": self._health,
            "healthz/ping": self._health,
            "metrics": self._metrics,
            "metrics/resource": self._resources,
            "pods": self._listed,
            "stats/summary": self._summary,
        }

    async def page(self, node: str, path: str) -> Page:
        """Return a page.

        Args:
            node: Whose.
            path: Below the node, without the slash before it; decoded.

        Raises:
            ServiceUnavailableError: It is another node, or this machine does not tell.
            NotFoundError: There is no such page.
        """
        if node != self._node:
            raise errors.ServiceUnavailableError(
                f"error trying to reach service: no kubelet of {node}"
            )
        name = path.strip("/")
        if name == "logs" or name.startswith("logs/"):
            return await asyncio.to_thread(self._log, name.removeprefix("logs").strip("/"))
        page = self._pages.get(name)
        if page is None:
            raise errors.NotFoundError(
                f"404 page not found: the node has {', '.join(sorted((*self._pages, 'logs/')))}"
            )
        return await page()

    async def _health(self) -> Page:
        return b"ok", _TEXT

    async def _summary(self) -> Page:
        found = summary.summary(self._node, await self._sampler.report())
        return orjson.dumps(found), _JSON

    async def _resources(self) -> Page:
        return summary.resource_metrics(await self._sampler.report()).encode(), _TEXT

    async def _metrics(self) -> Page:
        return summary.kubelet_metrics(self._node, await self._sampler.report()).encode(), _TEXT

    async def _listed(self) -> Page:
        listed = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._pods()}
        return orjson.dumps(listed), _JSON

    def _log(self, path: str) -> Page:
        """Return a file or folder of logs; nothing outside of them, wherever links lead."""
        root = self._logs.resolve()
        try:
            found = (root / path).resolve()
            if not found.is_relative_to(root):
                raise FileNotFoundError(path)
            if found.is_dir():
                return _folder(found), _HTML
            with found.open("rb") as stream:
                return stream.read(_MOST_LOG_BYTES), _TEXT
        except (OSError, ValueError) as error:
            raise errors.NotFoundError(f"404 page not found: no log {path!r:.260}") from error


def _folder(folder: Path) -> bytes:
    names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in folder.iterdir())
    links = (f'<a href="{html.escape(name)}">{html.escape(name)}</a>' for name in names)
    return "\n".join(("<pre>", *links, "</pre>", "")).encode()
