"""The errors of the model."""


class ModelError(Exception):
    """An operator's request cannot be done; nothing has changed. The message is worded as Juju words it."""


class ToolError(Exception):
    """A hook tool refuses; `exit_code` is 2 for a misuse of the command line and 1 for everything else."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


class UsageError(ToolError):
    """A hook tool was called with a command line that it does not understand."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)
