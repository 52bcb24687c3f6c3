"""Sphinx extensions of the site: what its pages show is rendered and run when it is built."""
