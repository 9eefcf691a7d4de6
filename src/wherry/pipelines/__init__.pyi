from wherry.pipelines.sdk import *  # noqa: F403 - each of its names, as `__getattr__` gives them
