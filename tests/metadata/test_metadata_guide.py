"""The settings of the guide are read as they stand."""

import re
from pathlib import Path

import yaml

from wherry.metadata.artifacts.providers import CONFIG_MAP, Provider, Providers

_PAGE = Path(__file__).parents[2] / "docs" / "guide" / "artifacts.md"


def test_the_settings_of_stores():
    text = _PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    config, secret = yaml.safe_load_all(block)
    assert config["metadata"]["name"] == CONFIG_MAP
    known = Providers(config["data"])
    mine = known.of(known.default_root)
    assert mine.url == "http://minio.example.org:9000"
    assert {mine.secret: mine.keys} == {secret["metadata"]["name"]: tuple(secret["stringData"])}
    assert known.of("s3://shared/public/x").secret == ""
    assert known.of("gs://b/x").keys == ("account.json",)
    (root,) = re.findall(r"`(s3://\S+\?\S+)`", text)
    said = Provider(endpoint="minio.example.org:9000", insecure=True, region="eu-central-1")
    assert Providers({}, root).of("s3://models/x") == said
