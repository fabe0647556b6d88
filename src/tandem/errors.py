"""The error a user is meant to read."""


class TandemError(Exception):
    """Something the user can put right.

    The message is one line: what was found, where, and what to do. The command line prints it and exits with status 2;
    every other exception is a defect and keeps its traceback.
    """
