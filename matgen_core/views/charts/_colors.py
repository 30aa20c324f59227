"""Colors that carry a meaning, readable on a light and on a dark page."""

ACCENT = "#D55E00"  # what is selected; vermilion of Okabe and Ito
CANDIDATE = "#CC79A7"
KNOWN = "#0E86C0"
MUTED = "#8A949E"  # context: neither selected nor asked for
