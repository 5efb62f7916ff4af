"""The error of a request that cannot be, whichever command it is of."""


class RequestError(ValueError):
    """An argument of a request that cannot be: one line naming it, its value and the rule."""
