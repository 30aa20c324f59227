"""The core of MatGen Explorer: generative models of inorganic materials and what is done with them."""

from collections import UserDict
from importlib.metadata import PackageNotFoundError, version
from pkgutil import resolve_name
from typing import Any

try:
    __version__ = version("matgen-explorer")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"


class Named(UserDict[str, Any]):
    """Objects by name, each given as "module:object" and imported when it is first asked for.

    A list of what there is costs no import of what is in it.
    """

    def __getitem__(self, name: str) -> Any:
        """Return what has a name."""
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self[name] = resolve_name(found)
        return found
