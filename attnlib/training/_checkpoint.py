"""The file of a run: written whole, refused unless it is whole and of the same run."""

import os
from contextlib import suppress
from pathlib import Path
from zipfile import ZipFile

import torch
from torch import nn

from attnlib.training._processes import gather, is_first, process_count, unwrap, wait_for_all


class Checkpoint:
    """The file that a run continues from: always whole, and read as data, never run as code."""

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        parts: dict,
        loaders: dict,
        device: torch.device,
        settings: dict,
    ) -> None:
        self.path = path
        self.model = model
        self.parts = {"model": unwrap(model)}
        self.parts |= {name: part for name, part in parts.items() if part is not None}
        # The generators that dropout and the order of the data are drawn from.
        drawn = {name: getattr(loader, "generator", None) for name, loader in loaders.items()}
        drawn["cpu"] = torch.default_generator
        if device.type == "cuda":
            drawn["cuda"] = torch.cuda.default_generators[device.index]
        self.generators = {name: each for name, each in drawn.items() if each is not None}
        # What a run must share with the file to continue it, in words.
        optimizer = parts["optimizer"]
        self.run = {name: type(part).__name__ for name, part in self.parts.items()}
        self.run["learning rate"] = str(optimizer.defaults.get("lr"))
        self.run["parameters"] = str([len(group["params"]) for group in optimizer.param_groups])
        self.run |= {name: str(value) for name, value in settings.items()}
        self.run["processes"] = str(process_count(model))
        for name, value in self.parts["model"].state_dict().items():
            self.run[f"shape of {name}"] = str(list(getattr(value, "shape", [])))

    def save(self, history: list, best: dict | None) -> None:
        """Replace the file; what stops the writing leaves the old one as it is.

        The first process writes for all, and each goes on when the file is there.
        """
        drawn = {name: each.get_state() for name, each in self.generators.items()}
        random = gather(self.model, drawn)
        if is_first(self.model):
            self._write(history, best, random)
        wait_for_all(self.model)

    def _write(self, history: list, best: dict | None, random: list[dict]) -> None:
        content = {name: part.state_dict() for name, part in self.parts.items()}
        content |= {"history": history, "best": best, "run": self.run, "random": random}
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)  # the old file or the new one, never half of either
        except OSError as error:
            raise RuntimeError(
                f"fit: cannot write {self.path} ({error.strerror}), expected a folder that exists, "
                "may be written to and has room; make one, or pass another checkpoint="
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def load(self) -> tuple[list, dict | None]:
        """Put everything back as it was; a file that does not fit is refused before any change."""
        try:
            with ZipFile(self.path) as archive:
                broken = archive.testzip()  # torch.load does not look at the checksums
            content = {} if broken else torch.load(self.path, "cpu", weights_only=True)
            run = dict(content["run"])
        except Exception as error:  # damaged bytes can raise anything
            raise RuntimeError(
                f"fit: {self.path} is damaged, foreign or holds more than plain numbers, expected "
                "a checkpoint of fit; delete it to start again, or pass another checkpoint="
            ) from error
        for name in {**run, **self.run}:
            if run.get(name) != self.run.get(name):
                raise RuntimeError(
                    f"fit: {self.path} is of a run whose {name} is {run.get(name)}, expected "
                    f"{self.run.get(name)}; repeat that run's call, or pass another checkpoint="
                )
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        drawn = content["random"][0 if is_first(self.model) else self.model.process_group.rank()]
        for name in self.generators.keys() & drawn.keys():
            self.generators[name].set_state(drawn[name])
        return content["history"], content["best"]
