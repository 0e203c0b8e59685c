"""Many runs as one sweep: each job's record, and what all of them came to."""

import warnings

# Hydra would rather have the presets in conf/hydra named otherwise than the plugins' own. Here, since the processes of
# a launcher import this before they compose anything.
warnings.filterwarnings("ignore", message=r"\s*'hydra/\w+/\w+' is validated against ConfigStore schema")
