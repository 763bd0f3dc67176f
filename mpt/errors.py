"""The one exception for a user's mistake."""


class UserError(Exception):
    """Something the user gave is wrong: a file, a line, an option, a name.

    The message is one clear sentence that names what is wrong and what would be right. The command line prints it
    without a traceback and exits with 2; in Python it is an ordinary exception.
    """
