"""The core of MatGen Explorer: generative models of inorganic materials and what is done with them."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("matgen-explorer")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"
