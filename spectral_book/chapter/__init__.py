"""A running chapter: parameters, figures, sentences, experiments."""
