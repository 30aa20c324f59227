"""The pages: widgets in, one core call, figure and table out."""
