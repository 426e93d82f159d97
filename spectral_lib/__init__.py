"""Training loops, probes and statistics behind the Spectral Bias Book."""
