"""What is measured: errors, accuracy, spectra, divergence, stable rates."""
