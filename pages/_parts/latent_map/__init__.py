"""Parts of the page Latent map."""
