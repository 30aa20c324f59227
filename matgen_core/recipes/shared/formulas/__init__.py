"""What the generators of formulas share: data sets, figures, the baseline without a network, the bank on the map."""
