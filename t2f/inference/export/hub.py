"""A folder on the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command


def require_hub(repository: str) -> None:
    """Raise `UserError` unless something could be uploaded to OWNER/NAME: before work is put into it."""
    try:
        from huggingface_hub import get_token
    except ModuleNotFoundError as error:
        raise UserError(f"To upload, huggingface_hub is missing: {install_command('hub')} installs it.") from error
    named = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repository, re.ASCII)
    require(named is not None, f"--hub {repository} is no name of a repository: give OWNER/NAME.")
    require(
        get_token() is not None,
        "The Hugging Face Hub must know who uploads: log in with hf auth login, or put a token that may write into the "
        "environment as HF_TOKEN.",
    )


def upload(folder: Path, files: Sequence[str], repository: str, private: bool) -> str:
    """Put these files of a folder into the repository OWNER/NAME, which is made if it is not there; its address.

    `private` is for a new one; one that is there stays as it is.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(repository, private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=[*files],
            delete_patterns=[*files],  # of an earlier export, where this one has none
            commit_message="Exported by t2f",
        )
    except Exception as error:  # of httpx, requests or the client, by its version
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{folder} is written, but could not be uploaded to {repository} ({reason}): run again when that is mended."
        ) from error
    return str(address)
