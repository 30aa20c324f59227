"""Words of the field, each explained once."""
