"""Pages over the tables of marts: Markdown with named SQL fences, rendered to HTML files that stand alone."""
