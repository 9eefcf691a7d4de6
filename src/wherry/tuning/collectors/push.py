"""What a trial sends itself, by Katib's SDK or ours: it arrives at the database, nothing is read."""

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning.access import Access
from wherry.tuning.collector import Collector, Metric, Wanted


class Push(Collector):
    """Reads nothing: whoever takes in what is sent stores it (`api`)."""

    kind: ClassVar[str] = "Push"
    streams: ClassVar[bool] = True
    reads_pods: ClassVar[bool] = False
    is_sent: ClassVar[bool] = True

    def validate(self, spec: Object) -> Sequence[Cause]:
        """Find nothing wrong: there is nothing to set."""
        del spec
        return ()

    async def read(
        self, wanted: Wanted, pods: Sequence[Object], access: Access
    ) -> AsyncIterator[Metric]:
        """Yield nothing."""
        del wanted, pods, access
        nothing: tuple[Metric, ...] = ()
        for metric in nothing:
            yield metric
