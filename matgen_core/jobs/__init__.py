"""Work that takes long: who may go when, and where what it makes stays."""
