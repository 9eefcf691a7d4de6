"""A platform that runs no pipelines does not load what they need; the first of them has it loaded."""

import inspect
import subprocess
import sys

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.controller.manager import Manager
from wherry.controller.surroundings import Surroundings
from wherry.objects.declared.late import Late
from wherry.pipelines import parts, product
from wherry.testing import played

LATE = ("wherry.pipelines.ir", "wherry.pipelines.graph", "wherry.pipelines.parts", "croniter")


def test_a_start_imports_none_of_it():
    program = "import sys, wherry.components; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = done.stdout.split()
    assert "wherry.pipelines.product" in loaded
    assert not [name for name in loaded if name.startswith(LATE)]


@pytest.fixture
async def world(tmp_path):
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    async with played.world((product.COMPONENT,), settings=settings) as made:
        yield made


async def test_what_is_known_of_controllers_beforehand_is_right(world):
    def shape(controller):
        owns = [each.key for each in controller.owns]
        return controller.resource.key, owns, controller.workers, controller.watches

    manager = Manager(world.client)
    known = {each.name: shape(each) for each in product.COMPONENT.controllers(manager)}
    made = parts.Parts(Manager(world.client), "sqlite://").controllers
    assert known == {each.name: shape(each) for each in made}


def test_the_rules_of_kinds_are_where_they_are_said_to_be():
    found = []
    for kind in product.COMPONENT.kinds:
        related = (kind.related.references, kind.related.validate) if kind.related else ()
        rules = (kind.default, kind.validate, kind.warnings, kind.convert, kind.rights, *related)
        found += [each.load() for each in rules if isinstance(each, Late)]
    assert len(found) >= 9
    assert all(inspect.isfunction(each) for each in found)


async def test_what_is_wrong_with_an_option_is_said_at_the_start(world):
    around = Surroundings(options={"pipelines-cron-time-zone": "Mars/Phobos"}, local=True)
    with pytest.raises(ValueError, match=r"pipelines-cron-time-zone: .*Mars/Phobos"):
        product.COMPONENT.controllers(Manager(world.client, surroundings=around))
