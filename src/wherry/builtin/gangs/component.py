"""Gangs and queues as the embedded platform runs them: kinds and their controllers.

Not among the products: on a cluster PodGroups and Queues belong to the scheduler that is installed.
"""

from typing import Final

from wherry.builtin.gangs import controller, kinds
from wherry.controller.component import Component

COMPONENT: Final = Component(name="gangs", kinds=kinds.KINDS, controllers=controller.controllers)
