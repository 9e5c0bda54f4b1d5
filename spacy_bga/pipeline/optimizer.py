"""A torch optimizer that follows spaCy's: rate, decay and clip are read from it at every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from thinc.api import Adam, Optimizer
from torch import nn

from spacy_bga.aligner.model import belongs_to_tagger
from spacy_bga.pipeline.pace import Pace

GROUPS = ("encoder", "generator", "head", "reader")


ENCODER_RATE = 1e-4  # at which a pretrained encoder of a few layers learns and forgets little


def create_optimizer(scales: Mapping[str, float]) -> Optimizer:
    """RETURNS (Optimizer): spaCy's Adam, whose rate times the encoder's scale is right for the encoder."""
    return Adam(ENCODER_RATE / (scales["encoder"] or 0.1), L2=0.01, use_averages=False)


def parameter_group(name: str) -> str:
    """RETURNS (str): Which group of learning rates a parameter of the aligner belongs to."""
    if name.startswith(("text_encoder.", "visual.encoder.")):
        return "encoder"
    if name.startswith("reader."):
        return "reader"
    return "head" if belongs_to_tagger(name) else "generator"


class TorchOptimizer:
    """Adam, RAdam or SGD as spaCy's optimizer says, with a rate of its own for each part of the aligner.

    thinc's own loop over the parameters would use one rate for all, clip each parameter by itself, and go on
    moving parameters that a batch gave no gradient. Here gradients are clipped by their global norm, weight decay
    spares biases and norms, and a parameter without a gradient stays as it is.

    aligner (nn.Module): Whose parameters. scales (Mapping[str, float]): What spaCy's learning rate is multiplied
        by, for "encoder", "generator", "head" and "reader". A part whose rate is 0 is frozen: it gets no gradient.
    goes_on (bool): Whether the aligner was trained before; see `Pace`.
    """

    def __init__(self, aligner: nn.Module, scales: Mapping[str, float], *, goes_on: bool = False):
        groups: dict[tuple[str, bool], dict[str, nn.Parameter]] = {}
        for name, parameter in aligner.named_parameters():
            group = parameter_group(name)
            if not scales[group]:
                parameter.requires_grad_(False).grad = None
            if parameter.requires_grad:
                groups.setdefault((group, parameter.ndim > 1), {})[name] = parameter
        self._groups = [
            {"params": list(parameters.values()), "scale": scales[group], "decays": decays}
            for (group, decays), parameters in groups.items()
        ]
        # In the order in which torch numbers them.
        self._parameters = {name: p for parameters in groups.values() for name, p in parameters.items()}
        self._torch: torch.optim.Optimizer | None = None
        self._pace = Pace(goes_on=goes_on)

    def step(self, spacy_optimizer: Optimizer) -> None:
        """Update the parameters from their gradients, and clear these."""
        if self._torch is None:
            self._torch = self._build(spacy_optimizer)
        rate = self._pace.rate(spacy_optimizer)
        for group in self._torch.param_groups:
            group["lr"] = rate * group["scale"]
            group["weight_decay"] = spacy_optimizer.L2 if group["decays"] else 0.0
        if spacy_optimizer.grad_clip:
            parameters = [p for group in self._torch.param_groups for p in group["params"] if p.grad is not None]
            nn.utils.clip_grad_norm_(parameters, spacy_optimizer.grad_clip)
        self._torch.step()
        self._torch.zero_grad(set_to_none=True)

    def state(self) -> dict[str, torch.Tensor]:
        """RETURNS (dict[str, Tensor]): What the optimizer has gathered, by "PARAMETER/PART", such as "crf.end/exp_avg";
        nothing for parameters that never had a gradient."""
        if self._torch is None:
            return {}
        return {
            f"{name}/{key}": part
            for name, parameter in self._parameters.items()
            for key, part in self._torch.state.get(parameter, {}).items()
            if isinstance(part, torch.Tensor)
        }

    def load_state(self, state: Mapping[str, torch.Tensor], spacy_optimizer: Optimizer) -> None:
        """Go on from what `state` returned.

        state (Mapping[str, Tensor]): Raises a ValueError if it is of other parameters.
        spacy_optimizer (Optimizer): The optimizer that this one follows.
        """
        places = {name: i for i, name in enumerate(self._parameters)}
        loaded: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in state.items():
            name, _, part = key.rpartition("/")
            if name not in places or (tensor.ndim and tensor.shape != self._parameters[name].shape):
                raise ValueError(f"there is no trained parameter for {key} of shape {tuple(tensor.shape)}")
            loaded.setdefault(places[name], {})[part] = tensor
        self._torch = self._build(spacy_optimizer)
        self._torch.load_state_dict({"state": loaded, "param_groups": self._torch.state_dict()["param_groups"]})

    def _build(self, optimizer: Optimizer) -> torch.optim.Optimizer:
        settings: dict[str, Any] = {
            "lr": optimizer.learn_rate,
            "betas": (optimizer.b1, optimizer.b2),
            "eps": optimizer.eps,
        }
        if optimizer.use_radam:
            return torch.optim.RAdam(
                self._groups, decoupled_weight_decay=optimizer.L2_is_weight_decay, foreach=True, **settings
            )
        if optimizer.b2 == 0.0:
            return torch.optim.SGD(self._groups, lr=optimizer.learn_rate)
        kind = torch.optim.AdamW if optimizer.L2_is_weight_decay else torch.optim.Adam
        return kind(self._groups, fused=True, **settings)
