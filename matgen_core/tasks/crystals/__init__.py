"""Many crystals at once: those that a generator makes, and those of a selection, with the files of them."""
