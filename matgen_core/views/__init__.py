"""Plain data for a drawing: charts, maps, crystals."""
