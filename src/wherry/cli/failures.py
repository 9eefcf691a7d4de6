"""What a command says when it cannot do what was asked, and with which exit code it ends."""

SUCCESS = 0
FAILURE = 1
USAGE = 2
NOT_RUNNING = 3
INTERRUPTED = 130
BROKEN_PIPE = 141


class CommandError(Exception):
    """A command has failed; the message is for people and says what would help."""

    code = FAILURE


class UsageError(CommandError):
    """What was typed makes no sense; the message says what is accepted."""

    code = USAGE
