"""The core of MatGen Explorer: generative models of inorganic materials and what is done with them."""

from importlib.metadata import version

__version__ = version("matgen-explorer")
