"""Colors that stay apart for color-blind readers, on a light and on a dark page.

Categories use the set of Okabe and Ito (jfly.uni-koeln.de/color) up to seven and the schemes of Paul Tol
(personal.sron.nl/~pault) at eight; scales are Plotly's tables of viridis, cividis and ColorBrewer's red-blue.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from plotly.colors import diverging, sequential, unlabel_rgb

Theme = Literal["light", "dark"]
Scale = Literal["viridis", "cividis", "red_blue"]

MAX_CATEGORIES = 8

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
TOL_MUTED = ("#332288", "#CC6677", "#44AA99", "#DDCC77", "#88CCEE", "#882255", "#117733", "#999933")
TOL_LIGHT = ("#77AADD", "#EE8866", "#44BB99", "#FFAABB", "#EEDD88", "#99DDFF", "#BBCC33", "#AAAA00")

_STOPS = {"viridis": sequential.Viridis, "cividis": sequential.Cividis, "red_blue": diverging.RdBu[::-1]}
# The yellow end of a scale fades into a white page and the navy end into a black one, so each theme leaves
# out the end that it would swallow.
_SHOWN: dict[Theme, tuple[float, float]] = {"light": (0.0, 0.94), "dark": (0.14, 1.0)}


def categories(n: int, theme: Theme) -> NDArray[np.uint8]:
    """Return one color a category, shape (n, 3), sRGB bytes.

    Raises:
        ValueError: If `n` is above `MAX_CATEGORIES`, where no set of colors stays apart.
    """
    if n > MAX_CATEGORIES:
        raise ValueError(f"{n} categories: at most {MAX_CATEGORIES} colors stay apart; group the rest")
    eight = TOL_MUTED if theme == "light" else TOL_LIGHT
    chosen = OKABE_ITO if n <= len(OKABE_ITO) else eight
    return np.array([_bytes(color) for color in chosen[:n]], dtype=np.uint8).reshape(n, 3)


def scale(name: Scale, n: int, theme: Theme) -> NDArray[np.uint8]:
    """Return a continuous scale from low to high, shape (n, 3), sRGB bytes.

    Args:
        name: A sequential scale, or "red_blue", whose middle is neutral: blue is low, red is high.
        n: Number of steps.
        theme: Which page it is shown on; the end that would vanish there is left out.
    """
    stops = np.array([_bytes(color) for color in _STOPS[name]], dtype=float)
    low, high = (0.0, 1.0) if name == "red_blue" else _SHOWN[theme]
    at = np.linspace(low, high, n)
    known = np.linspace(0.0, 1.0, len(stops))
    mixed = np.column_stack([np.interp(at, known, stops[:, channel]) for channel in range(3)])
    return np.rint(mixed).astype(np.uint8)


def _bytes(color: str) -> tuple[int, ...]:
    if color.startswith("#"):
        return tuple(bytes.fromhex(color[1:]))
    return tuple(int(part) for part in unlabel_rgb(color))
