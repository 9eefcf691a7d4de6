"""Booleans in a query, as clients in many languages write them: Python's say `True`."""

import json

import pytest

from wherry.objects import kinds

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("watch", ["watch=true", "watch=True", "watch=1", "watch=", "watch"])
async def test_what_is_true(session, api, watch):
    await api.create(kinds.CONFIG_MAPS, "c")
    async with session.get(f"{MAPS}?{watch}&timeoutSeconds=1") as response:
        assert json.loads(await response.content.readline())["type"] == "ADDED"


@pytest.mark.parametrize("watch", ["", "watch=false", "watch=False", "watch=0"])
async def test_what_is_not(session, watch):
    async with session.get(f"{MAPS}?{watch}") as response:
        assert (await response.json())["kind"] == "ConfigMapList"
