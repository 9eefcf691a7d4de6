"""What is asked of a list, and a part of one. Pure."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows to list; what is empty does not matter.

    Attributes:
        namespace: Whose.
        type: Of them.
        name: Theirs, exactly.
        uri: Of artifacts, exactly.
        run: Uid, of executions.
        pipeline: Of executions.
        state: Of executions.
        context: Id of a context that they are in; of contexts, of their parent.
        reusable: Only executions that ran themselves and whose outputs may be found by fingerprint.
        key: Executions with this cache key of their author's (property `CACHE_KEY`), or whose
            fingerprint begins so.
        before: Executions that ended before this time, in milliseconds since 1970 UTC.
    """

    namespace: str = ""
    type: str = ""
    name: str = ""
    uri: str = ""
    run: str = ""
    pipeline: str = ""
    state: str = ""
    context: int = 0
    reusable: bool = False
    key: str = ""
    before: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: In it.
        more: What to ask for the next part with; empty: there is none.
    """

    items: tuple[T, ...]
    more: str
