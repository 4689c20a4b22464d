"""Raw files into the project."""
