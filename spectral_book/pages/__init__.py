"""The pages: what Sphinx needs to make a book of the chapters."""
