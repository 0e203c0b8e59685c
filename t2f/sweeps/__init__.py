"""Sweeps of several runs: the record of each job, and the report on all of them."""

import warnings

# Hydra warns about the presets in conf/hydra, which have the names of the plugins' own configs. The filter is set here
# because the processes of a launcher import this package before they compose a config.
warnings.filterwarnings("ignore", message=r"\s*'hydra/\w+/\w+' is validated against ConfigStore schema")
