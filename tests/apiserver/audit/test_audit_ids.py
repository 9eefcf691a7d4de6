"""Names of requests: UUIDs, each another."""

import re

from wherry.apiserver.audit import ids

_VERSION_4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_every_request_gets_another_uuid():
    made = [ids.new() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(_VERSION_4.fullmatch(each) for each in made)
