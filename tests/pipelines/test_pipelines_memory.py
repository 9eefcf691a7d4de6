"""Of runs that came and went nothing stays in the memory of the control plane but what is bounded."""

import collections
import gc

import pytest

from wherry.controller.events import EventWriter
from wherry.objects import errors, metadata
from wherry.testing.waiting import eventually

pytestmark = pytest.mark.timeout(600)
_CONTAINERS = (dict, set, collections.OrderedDict, collections.defaultdict)
_BOUNDED = (EventWriter,)
"""What remembers so many of the latest, whatever becomes of them."""


def test_nothing_is_kept_by_the_names_of_runs_that_are_gone(runs, pipeline):
    gone = dict(come_and_go(runs, two_steps(pipeline), f"gone-{number}") for number in range(2))
    # What is remembered until the next look is forgotten by it.
    come_and_go(runs, two_steps(pipeline), "later")

    def nothing_is_kept():
        assert not kept(runs.namespace, gone)
        return True

    eventually(nothing_is_kept, 120)


def two_steps(pipeline):
    """Return a run that goes when it has ended."""
    made = pipeline()
    for name in ("one", "two"):
        made.step(name, "true")
    made.task("one")
    made.task("two", needs=["one"])
    return {**made.spec(), "ttlSecondsAfterFinished": 0}


def come_and_go(runs, spec, name):
    """Return the name of a run and the uids of it and of its pods, all of which are gone."""
    uids = {metadata.uid(runs.start(spec, name))}

    def is_gone():
        pods = runs.pods(name)
        uids.update(map(metadata.uid, pods))
        try:
            runs.get(name)
        except errors.NotFoundError:
            return not pods
        return False

    eventually(is_gone, 120, what=f"that {name} is gone")
    return name, uids


def kept(namespace, gone):
    """Return what has something under the name of a run or the uid of what is gone, and under which key."""
    uids = frozenset().union(*gone.values())
    own = [id(gone), *map(id, gone.values())]
    found = []
    for each in gc.get_objects():
        if type(each) in _CONTAINERS and id(each) not in own:
            # Other threads go on meanwhile.
            keys = [key for key in each.copy() if _is_about(key, namespace, gone, uids)]
            if keys and not any(isinstance(one, _BOUNDED) for one in gc.get_referrers(each)):
                found.append((keys, [type(one).__name__ for one in gc.get_referrers(each)]))
    return found


def _is_about(key, namespace, names, uids):
    if isinstance(key, tuple):
        named = len(key) >= 2 and key[-2] == namespace and key[-1] in names
        return named or any(part in uids for part in key if isinstance(part, str))
    return isinstance(key, str) and any(uid in key for uid in uids)
