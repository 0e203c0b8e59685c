"""The networks: plain modules that do not depend on Lightning, configs or files."""
