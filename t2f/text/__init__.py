"""Text to embeddings: the tokenizer, the description reader and the LSTM encoder."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "tokenizer": ["WordTokenizer"],
        "reader": ["DescriptionReader"],
        "lstm": ["LSTMEncoder"],
    },
)
