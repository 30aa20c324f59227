"""What a page or a command does: rank, generate, walk, predict, reconstruct, place, export."""
