"""What a template alone cannot say: small functions from a source's rows to rows that a template can take.

Each has the form ``f(rows, *, options…) -> Iterator[Row]``, never changes a row it is given, may leave rows out, and is
named ``module.function`` in a task's catalogue file. Names and options are checked when that is read.
"""
