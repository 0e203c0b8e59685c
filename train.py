"""Train a face GAN with the config in `conf/`: see `t2f.cli.train`."""

import hydra
from omegaconf import DictConfig

from t2f.cli.entry_point import run_hydra


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    from t2f.cli.train import run_config  # here, because torch and Lightning take seconds to import

    return run_config(cfg)


if __name__ == "__main__":
    run_hydra(main)
