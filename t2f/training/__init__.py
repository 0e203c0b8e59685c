"""The LightningModules: the alternating steps, the optimisers, the EMA."""
