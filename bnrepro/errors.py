"""Errors a person can act on: one line that says what, where and what to do."""


class UserError(Exception):
    """Bad input or surroundings; the entry points print its one line and exit with status 2."""
