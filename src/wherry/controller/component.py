"""What a product is to those that run it: its kinds, its controllers, its rights.

A product ends in one value of this type (`component.py` in its folder); `wherry.components` lists
them. The embedded platform and `wherry controllers` need nothing else of a product.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.objects.declared.kind import Kind
from wherry.objects.declared.pods import PodHook
from wherry.objects.requests import Object


def _none() -> Sequence[Object]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One product.

    Attributes:
        name: As its folder is called, e.g. ``training``.
        kinds: What users write.
        controllers: Makes its controllers for a manager; they need nothing but what Kubernetes
            offers, so that they run against any API.
        rules: What its controllers may do (`rules` of a ClusterRole), their own kinds apart: those
            are added.
        local_rules: What they may do in one namespace and nowhere else, by its name; the namespace is
            among what `roles` makes.
        objects: Makes the objects that there are from the start, such as runtimes; what a user has
            changed in them stays.
        roles: Makes what only an administrator may make from the start, such as the roles of people:
            beside `objects` where we are the cluster, else he is shown it.
        pods: What it changes in pods that others make; None: nothing.
    """

    name: str
    kinds: tuple[Kind, ...]
    controllers: Callable[[Manager], Sequence[Controller]]
    rules: tuple[Object, ...] = ()
    local_rules: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    objects: Callable[[], Sequence[Object]] = _none
    roles: Callable[[], Sequence[Object]] = _none
    pods: PodHook | None = None
