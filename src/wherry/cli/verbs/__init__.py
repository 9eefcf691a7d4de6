"""The verbs of the command line: each module has ``run(options) -> exit code``.

`wherry.cli.arguments` says what can be typed; a module is loaded only when its verb was.
"""
