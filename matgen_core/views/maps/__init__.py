"""What is drawn of a latent map, what the visitor does on it, and a link to any view of it."""
