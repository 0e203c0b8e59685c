"""The networks: plain modules that know nothing of Lightning, configs or files."""
