import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.heads import MatchingHead

CHANNELS, WORDS, TEXT, ATTRIBUTES = 8, 5, 3, 2


def head(project: bool = True, unconditional: bool = False) -> MatchingHead:
    """One whose biases are not zero, where a forgotten one would not be noticed."""
    torch.manual_seed(1)
    made = MatchingHead(CHANNELS, WORDS, TEXT, project, unconditional, ATTRIBUTES)
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return made


def features() -> Tensor:
    return torch.randn(4, CHANNELS, 4, 4, generator=torch.Generator().manual_seed(3))


def words() -> Tensor:
    return torch.randn(4, WORDS, generator=torch.Generator().manual_seed(4))


def act(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def linear(layer: nn.Module, x: Tensor, gain: float = math.sqrt(2)) -> Tensor:
    """A linear layer with its weight scaled by gain / sqrt(fan in)."""
    return F.linear(x, layer.weight * gain / math.sqrt(x.shape[1]), layer.bias)


def conv(layer: nn.Module, x: Tensor) -> Tensor:
    """A convolution with padding that keeps the size, its weight scaled by sqrt(2 / fan in)."""
    weight = layer.weight * math.sqrt(2 / layer.weight[0].numel())
    return F.conv2d(x, weight, layer.bias, padding=weight.shape[-1] // 2)


def test_seeing_is_a_convolution_of_the_features_and_the_spread_of_the_batch() -> None:
    made, x = head(), features()
    spread = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    expected = act(conv(made.conv, torch.cat([x, spread.expand(4, 1, 4, 4)], dim=1)))
    torch.testing.assert_close(made(x), expected)


@pytest.mark.parametrize("project", [True, False])
def test_words_change_the_score(project: bool) -> None:
    made = head(project)
    seen = made(features())
    change = made.conditional_logits(seen, words()) - made.conditional_logits(seen, words().roll(1, dims=0))
    assert change.abs().min() > 1e-3


def test_score_joins_the_text_at_every_place_of_the_4x4_features() -> None:
    made, seen = head(project=False), features()
    text = linear(made.compress, words())
    x = torch.cat([seen, text.reshape(4, TEXT, 1, 1).repeat(1, 1, 4, 4)], dim=1)
    x = act(conv(made.join, x))
    dense = (made.dense.weight * math.sqrt(2 / (CHANNELS * 16))).reshape(CHANNELS, CHANNELS, 4, 4)
    x = act(F.conv2d(x, dense, made.dense.bias))  # 4x4 without padding, as in the paper's table 2
    expected = x.flatten(1) @ (made.score.weight / math.sqrt(CHANNELS)).T + made.score.bias
    torch.testing.assert_close(made.conditional_logits(seen, words()), expected.squeeze(1))


def test_projection_adds_the_inner_product_of_features_and_text() -> None:
    made, seen = head(), features()
    score = made.conditional_logits(seen, words())
    own, projection = made.features, made.projection
    made.project = False
    without = made.conditional_logits(seen, words())
    picture, text = act(linear(own, seen.reshape(4, -1))), linear(projection, words(), gain=1.0)
    expected = torch.stack([picture[i] @ text[i] for i in range(4)]) / math.sqrt(CHANNELS)
    torch.testing.assert_close(score - without, expected, atol=1e-5, rtol=1e-4)


def test_the_picture_alone_is_judged_by_two_layers_of_its_own() -> None:
    made, seen = head(unconditional=True), features()
    first, _, last = made.unconditional
    hidden = act(linear(first, seen.reshape(4, -1)))
    expected = linear(last, hidden, gain=1.0).squeeze(1)
    score = made.unconditional_logits(seen)
    assert score.shape == (4,)
    torch.testing.assert_close(score, expected)


def test_the_two_scores_share_only_what_they_see() -> None:
    made = head(unconditional=True)
    made.unconditional_logits(made(features())).sum().backward()
    learnt = {name.split(".")[0] for name, parameter in made.named_parameters() if parameter.grad is not None}
    assert learnt == {"conv", "unconditional"}
    made.zero_grad()
    made.conditional_logits(made(features()), words()).sum().backward()
    learnt = {name.split(".")[0] for name, parameter in made.named_parameters() if parameter.grad is not None}
    assert learnt == {"conv", "compress", "join", "dense", "score", "features", "projection"}


def test_one_classifier_reads_attributes_from_the_features_and_from_the_projected_words() -> None:
    made, seen = head(), head()(features())
    of_pictures, of_words = made.attribute_logits(seen, words()[:3])
    picture, text = act(linear(made.features, seen.reshape(4, -1))), linear(made.projection, words()[:3], gain=1.0)
    torch.testing.assert_close(of_pictures, linear(made.classifier, picture, gain=1.0))
    torch.testing.assert_close(of_words, linear(made.classifier, text, gain=1.0))
    assert (of_pictures.shape, of_words.shape) == ((4, ATTRIBUTES), (3, ATTRIBUTES))
    assert head(project=False).outputs == {"conditional_logits"}


def test_without_an_unconditional_score_there_are_no_layers_for_it() -> None:
    assert "unconditional_logits" not in head().outputs
    assert not [name for name, _ in head().named_parameters() if name.startswith("unconditional")]
