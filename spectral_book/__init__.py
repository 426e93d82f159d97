"""The book around the library: claims, chapters, pages and sweeps."""
