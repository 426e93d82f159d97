"""What makes the book a book: the Sphinx extension and its parts."""
