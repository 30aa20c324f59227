"""The networks, one file a paper; torch only, and nothing here knows how a material becomes an array."""

from typing import Any

MODELS: dict[str, Any] = {}

__all__ = ["MODELS"]
