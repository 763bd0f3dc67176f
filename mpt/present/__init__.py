"""What numbers look like: tables, figures and pages for terminals, Markdown, LaTeX and HTML."""
