"""Caches of what is made of checkpoints: a folder that is replaced, changed or removed is read anew by every page."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from matgen_core import checkpoint as checkpoints

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


def first_argument(name: str, *rest: Any) -> Iterable[str]:
    """Say that a function is about the checkpoint that its first argument names."""
    return [name]


def all_present(*arguments: Any) -> Iterable[str]:
    """Say that a function is about whichever checkpoints are there."""
    return checkpoints.names()


def by_folder(
    cache: Callable[..., Any], about: Callable[..., Iterable[str]] = first_argument, **options: Any
) -> Callable[[Callable[_Given, _Made]], Callable[_Given, _Made]]:
    """Keep what a function returns as long as its arguments and the folders that it is about stay the same.

    Args:
        cache: `st.cache_data` or `st.cache_resource`.
        about: Which checkpoints a function is about, by its arguments as they stand in order.
        options: Of the cache.
    """

    def kept(function: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
        @wraps(function)
        def made(*arguments: Any, of_folders: Any, **named: Any) -> _Made:
            return function(*arguments, **named)

        # Streamlit knows a function by its name and source, which `wraps` hands on, and counts any argument of a call.
        cached = cache(**options)(made)

        @wraps(function)
        def call(*arguments: _Given.args, **named: _Given.kwargs) -> _Made:
            found: _Made = cached(*arguments, of_folders=[*map(checkpoints.fingerprint, about(*arguments))], **named)
            return found

        return call

    return kept
