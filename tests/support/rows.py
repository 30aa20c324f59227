"""A table of inputs and answers as one test, whose rows fail one by one."""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps

import pytest


def each_row(
    names: str | Sequence[str], rows: Sequence[object]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test that goes through ``rows``, for tables whose rows take no time: an item each would cost more than the row.

    Takes what ``pytest.mark.parametrize`` takes. A row that fails is named, and the others are tried all the same.
    """

    columns = (names,) if isinstance(names, str) else tuple(names)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def whole(subtests: pytest.Subtests, **fixtures: object) -> None:
            for n, row in enumerate(rows):
                given = dict(zip(columns, (row,) if isinstance(names, str) else row, strict=True))
                with subtests.test(row=n, **given):
                    test(**fixtures, **given)

        own = [each for each in inspect.signature(test).parameters.values() if each.name not in columns]
        subtests = inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY)
        own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        whole.__signature__ = inspect.Signature([*own, subtests])  # type: ignore[attr-defined]
        return whole

    return decorate
