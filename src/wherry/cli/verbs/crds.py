"""`wherry crds`: the kinds of Wherry's products, for an API that does not know them."""

from argparse import Namespace

import yaml

from wherry import components
from wherry.cli import failures
from wherry.cluster import registration


def run(options: Namespace) -> int:
    """Print the CustomResourceDefinitions, one YAML document each."""
    try:
        chosen = components.named(options.components)
    except ValueError as error:
        raise failures.UsageError(f"--components: {error}") from error
    documents = registration.definitions(chosen, None)
    # libyaml: the definitions spell out whole pod templates.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    print(yaml.dump_all(documents, Dumper=dumper, sort_keys=False), end="")
    return failures.SUCCESS
