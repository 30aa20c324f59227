"""Reference energies: from the energies of potentials to formation energies, with the hull of known phases."""
