"""Upload of an exported model to the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from t2f.utils.errors import UserError, require
from t2f.utils.extras import needs_extra


def require_hub(repository: str) -> None:
    """Raise `UserError` if an upload to OWNER/NAME cannot succeed, before the export does any work."""
    with needs_extra("--hub", "hub"):
        from huggingface_hub import get_token

    valid = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repository, re.ASCII)
    require(valid is not None, f"--hub {repository} is not the name of a repository: give OWNER/NAME.")
    require(
        get_token() is not None,
        "An upload to the Hugging Face Hub needs a token: log in with hf auth login, or set the environment variable "
        "HF_TOKEN to a token with write access.",
    )


def upload(folder: Path, files: Sequence[str], repository: str, private: bool) -> str:
    """Upload the files of an export that exist in a folder, delete the others there, and return the repository's URL.

    The repository is created if it does not exist. The visibility of an existing one does not change.

    Raises:
        UserError: the upload failed.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        url = api.create_repo(repository, private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=[*files],
            delete_patterns=[*files],
            commit_message="Exported by t2f",
        )
    except Exception as error:  # the exception classes depend on the client's version
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"The model is written to {folder}, but the upload to {repository} failed ({reason}): resolve this and run "
            "the command again."
        ) from error
    return str(url)
