"""Cell and basis images of two elements (Noh 2019, iMatGen)."""
