import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.heads import MatchingHead

CHANNELS, EMBEDDING, TEXT, ATTRIBUTES = 8, 5, 3, 2


def head(project: bool = True, unconditional: bool = False) -> MatchingHead:
    """Create a head with random biases. They start at zero, so that a test would not detect a missing one."""
    torch.manual_seed(1)
    module = MatchingHead(CHANNELS, EMBEDDING, TEXT, project, unconditional, ATTRIBUTES)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return module


def features() -> Tensor:
    return torch.randn(4, CHANNELS, 4, 4, generator=torch.Generator().manual_seed(3))


def texts() -> Tensor:
    return torch.randn(4, EMBEDDING, generator=torch.Generator().manual_seed(4))


def act(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def linear(layer: nn.Module, x: Tensor, gain: float = math.sqrt(2)) -> Tensor:
    """Apply a linear layer with its weight scaled by gain / sqrt(fan in)."""
    return F.linear(x, layer.weight * gain / math.sqrt(x.shape[1]), layer.bias)


def conv(layer: nn.Module, x: Tensor) -> Tensor:
    """Convolve with padding that keeps the size, and with the weight scaled by sqrt(2 / fan in)."""
    weight = layer.weight * math.sqrt(2 / layer.weight[0].numel())
    return F.conv2d(x, weight, layer.bias, padding=weight.shape[-1] // 2)


def test_features_are_a_convolution_with_the_minibatch_standard_deviation() -> None:
    module, x = head(), features()
    stddev = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    expected = act(conv(module.conv, torch.cat([x, stddev.expand(4, 1, 4, 4)], dim=1)))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("project", [True, False])
def test_the_text_changes_the_score(project: bool) -> None:
    module = head(project)
    shared = module(features())
    change = module.conditional_logits(shared, texts()) - module.conditional_logits(shared, texts().roll(1, dims=0))
    assert change.abs().min() > 1e-3


def test_score_concatenates_the_text_at_every_position_of_the_4x4_features() -> None:
    module, shared = head(project=False), features()
    text = linear(module.compress, texts())
    x = torch.cat([shared, text.reshape(4, TEXT, 1, 1).repeat(1, 1, 4, 4)], dim=1)
    x = act(conv(module.join, x))
    dense = (module.dense.weight * math.sqrt(2 / (CHANNELS * 16))).reshape(CHANNELS, CHANNELS, 4, 4)
    x = act(F.conv2d(x, dense, module.dense.bias))  # 4x4 without padding, as in the paper's table 2
    expected = x.flatten(1) @ (module.score.weight / math.sqrt(CHANNELS)).T + module.score.bias
    torch.testing.assert_close(module.conditional_logits(shared, texts()), expected.squeeze(1))


def test_projection_adds_the_inner_product_of_features_and_text() -> None:
    module, shared = head(), features()
    score = module.conditional_logits(shared, texts())
    own, projection = module.features, module.projection
    module.project = False
    without = module.conditional_logits(shared, texts())
    image, text = act(linear(own, shared.reshape(4, -1))), linear(projection, texts(), gain=1.0)
    expected = torch.stack([image[i] @ text[i] for i in range(4)]) / math.sqrt(CHANNELS)
    torch.testing.assert_close(score - without, expected, atol=1e-5, rtol=1e-4)


def test_the_unconditional_score_has_two_layers_of_its_own() -> None:
    module, shared = head(unconditional=True), features()
    first, _, last = module.unconditional
    hidden = act(linear(first, shared.reshape(4, -1)))
    expected = linear(last, hidden, gain=1.0).squeeze(1)
    score = module.unconditional_logits(shared)
    assert score.shape == (4,)
    torch.testing.assert_close(score, expected)


def test_the_two_scores_share_only_the_features() -> None:
    module = head(unconditional=True)
    module.unconditional_logits(module(features())).sum().backward()
    with_gradient = {name.split(".")[0] for name, parameter in module.named_parameters() if parameter.grad is not None}
    assert with_gradient == {"conv", "unconditional"}
    module.zero_grad()
    module.conditional_logits(module(features()), texts()).sum().backward()
    with_gradient = {name.split(".")[0] for name, parameter in module.named_parameters() if parameter.grad is not None}
    assert with_gradient == {"conv", "compress", "join", "dense", "score", "features", "projection"}


def test_one_layer_classifies_the_features_and_the_projected_text() -> None:
    module, shared = head(), head()(features())
    of_images, of_texts = module.attribute_logits(shared, texts()[:3])
    image, text = act(linear(module.features, shared.reshape(4, -1))), linear(module.projection, texts()[:3], gain=1.0)
    torch.testing.assert_close(of_images, linear(module.classifier, image, gain=1.0))
    torch.testing.assert_close(of_texts, linear(module.classifier, text, gain=1.0))
    assert (of_images.shape, of_texts.shape) == ((4, ATTRIBUTES), (3, ATTRIBUTES))
    assert head(project=False).outputs == {"conditional_logits"}


def test_without_an_unconditional_score_there_are_no_layers_for_it() -> None:
    assert "unconditional_logits" not in head().outputs
    assert not [name for name, _ in head().named_parameters() if name.startswith("unconditional")]
