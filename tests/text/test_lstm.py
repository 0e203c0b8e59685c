import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from t2f.text.lstm import LSTMEncoder
from t2f.utils.errors import UserError
from t2f.utils.instantiate import build

SENTENCES = [[3, 5, 2, 9, 4, 7], [8], [2, 2, 6], [9, 1]]


def rows(sentences: list[list[int]], length: int) -> Tensor:
    return torch.tensor([sentence + [0] * (length - len(sentence)) for sentence in sentences])


@pytest.fixture(
    params=[(1, False), (2, False), (1, True), (3, True)],
    ids=["one layer", "two layers", "one layer, both directions", "three layers, both directions"],
)
def encoder(request: pytest.FixtureRequest) -> LSTMEncoder:
    layers, bidirectional = request.param
    torch.manual_seed(0)
    return LSTMEncoder(vocabulary=10, word_dim=5, hidden_dim=8, layers=layers, bidirectional=bidirectional)


def test_equals_torch_lstm_on_unpadded_sentences(encoder: LSTMEncoder) -> None:
    both = encoder.lstm.bidirectional
    width = 4 if both else 8
    reference = nn.LSTM(5, width, num_layers=encoder.lstm.num_layers, bidirectional=both)
    reference.load_state_dict(encoder.lstm.state_dict())
    embeddings = encoder(rows(SENTENCES, 6))
    assert embeddings.shape == (4, 8)
    for sentence, embedding in zip(SENTENCES, embeddings, strict=True):
        states, _ = reference(encoder.words.weight[sentence])
        # The forward direction ends at the last word, the backward direction at the first.
        torch.testing.assert_close(embedding[:width], states[-1, :width])
        torch.testing.assert_close(embedding[width:], states[0, width:][: 8 - width])


@pytest.mark.parametrize("length", [6, 7, 20])
def test_padding_does_not_change_an_embedding(encoder: LSTMEncoder, length: int) -> None:
    torch.testing.assert_close(encoder(rows(SENTENCES, length)), encoder(rows(SENTENCES, 6)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [1, 3, 0, 2]])
def test_order_of_the_batch_does_not_matter(encoder: LSTMEncoder, order: list[int]) -> None:
    mixed = encoder(rows([SENTENCES[i] for i in order], 6))
    torch.testing.assert_close(mixed, encoder(rows(SENTENCES, 6))[order])


def test_embeddings_do_not_depend_on_the_batch(encoder: LSTMEncoder) -> None:
    together = encoder(rows(SENTENCES, 6))
    for i, sentence in enumerate(SENTENCES):
        torch.testing.assert_close(encoder(rows([sentence], 6))[0], together[i], rtol=0, atol=1e-6)
        torch.testing.assert_close(encoder(rows([sentence], len(sentence)))[0], together[i], rtol=0, atol=1e-6)


def test_gradients_equal_those_of_unpadded_sentences(encoder: LSTMEncoder) -> None:
    encoder(rows(SENTENCES, 9)).square().sum().backward()
    together = [parameter.grad for parameter in encoder.parameters()]
    encoder.zero_grad()
    for sentence in SENTENCES:
        encoder(rows([sentence], len(sentence))).square().sum().backward()
    for gradient, parameter in zip(together, encoder.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=0, atol=1e-6)


@pytest.mark.parametrize("half", [False, True])
def test_the_number_of_operations_of_a_unidirectional_lstm_does_not_depend_on_the_length(half: bool) -> None:
    """On a CPU, launching one operation per word takes longer than the computation."""
    encoder = LSTMEncoder(vocabulary=10, word_dim=5, hidden_dim=8, layers=1)
    counts = []
    for length in (5, 25):
        tokens = torch.ones(4, length, dtype=torch.int64)
        with (
            profile(activities=[ProfilerActivity.CPU]) as profiler,
            torch.autocast("cpu", torch.bfloat16, enabled=half),
        ):
            encoder(tokens).sum().backward()
        counts.append(sum(event.count for event in profiler.key_averages()))
    assert counts[1] <= counts[0]


@pytest.mark.slow
def test_an_exported_encoder_gives_the_same_embeddings_for_any_padding() -> None:
    torch.manual_seed(0)
    encoder = LSTMEncoder(vocabulary=10, word_dim=5, hidden_dim=8, layers=2, bidirectional=True)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    encoder.requires_grad_(False)
    exported = torch.export.export(encoder, (rows(SENTENCES, 6),), dynamic_shapes=(sizes,)).module()
    odd = torch.tensor(
        [[0, 3, 0, 4], [5, 0, 0, 0], [0, 0, 0, 0], [1, 2, 3, 4]]
    )  # with padding in their midst, or alone
    for tokens in (rows(SENTENCES, 6), rows(SENTENCES, 50), rows(SENTENCES[1:2], 1), rows(SENTENCES[:1], 9), odd):
        torch.testing.assert_close(exported(tokens), encoder(tokens), rtol=0, atol=1e-6)


def test_order_of_words_matters(encoder: LSTMEncoder) -> None:
    one, other = encoder(rows([[3, 5, 2], [5, 3, 2]], 3))
    assert (one - other).abs().max() > 1e-3


def test_gradients_reach_all_words_and_no_padding(encoder: LSTMEncoder) -> None:
    encoder(rows([[3, 5, 2], [8]], 6)).square().sum().backward()
    gradient = encoder.words.weight.grad
    assert gradient is not None
    assert gradient.abs().sum(dim=1).nonzero().flatten().tolist() == [2, 3, 5, 8]


def test_a_row_of_padding_has_a_finite_embedding(encoder: LSTMEncoder) -> None:
    assert encoder(torch.zeros(2, 6, dtype=torch.int64)).isfinite().all()


def test_a_unidirectional_encoder_initializes_the_weights_of_torch_modules() -> None:
    """Checkpoints and seeds from before `bidirectional` remain valid."""
    torch.manual_seed(3)
    encoder = LSTMEncoder(vocabulary=10, word_dim=5, hidden_dim=7, layers=2)
    torch.manual_seed(3)
    reference = nn.ModuleDict({"words": nn.Embedding(10, 5, padding_idx=0), "lstm": nn.LSTM(5, 7, 2)})
    assert list(encoder.state_dict()) == list(reference.state_dict())
    for name, weights in reference.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], weights)


def test_an_odd_hidden_dim_is_an_error_if_bidirectional() -> None:
    with pytest.raises(ValueError, match=r"^hidden_dim must be even, but is 7"):
        LSTMEncoder(vocabulary=10, word_dim=5, hidden_dim=7, layers=1, bidirectional=True)


@pytest.mark.parametrize("layers", [0, 17])
def test_the_number_of_layers_is_limited(layers: int) -> None:
    with pytest.raises(ValueError, match=rf"^layers must be from 1 to 16, but is {layers}"):
        LSTMEncoder(vocabulary=10, word_dim=5, hidden_dim=8, layers=layers)


def test_an_invalid_setting_is_reported_with_its_config_key() -> None:
    config = OmegaConf.create({"encoder": {"_target_": "t2f.text.lstm.LSTMEncoder", "layers": 99}})
    with pytest.raises(UserError, match=r"^encoder\.layers must be from 1 to 16, but is 99"):
        build(config.encoder, vocabulary=10, word_dim=5, hidden_dim=8)
