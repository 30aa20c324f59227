"""What is drawn of a crystal, as plain data, a still picture or a page of its own."""
