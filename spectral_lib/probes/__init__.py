"""What is measured: errors, spectra."""
