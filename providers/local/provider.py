"""Provider kind `local`: models that run on this machine's CPU, each in a worker process of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...engine.calls import Call, CallPolicy, Offer, Reply
from ...engine.errors import NotConfigured
from ..options import ProviderOptions
from ..workers.connection import Recipe
from ..workers.process import Worker
from .manifest import MODELS
from .models import lacking, missing, models_directory
from .weights import FEATURES, OPERATIONS, Family, Model

_FAMILY_OF = {
    operation: family for table in (OPERATIONS, FEATURES) for family, each in table.items() for operation in each
}

_WORKER = "coatcheck.providers.local.worker"


@dataclass(frozen=True, kw_only=True)
class LocalOptions(ProviderOptions):
    #: Calls that may run at once in each of its lanes: every family of models has its own.
    concurrency: int = field(default=2, metadata={"min": 1})
    #: Models of the manifest that it serves: `coatcheck models` lists them all.
    models: tuple[str, ...] = (
        "qwen2.5-coder-0.5b-instruct",
        "minilm-l6-v2",
        "hibari-heart",
        "whisper-base",
        "pp-ocrv6-small",
        "procedural-1",
        "style-transfer-1",
        "lid-176",
    )
    #: A GGUF file of one's own, served as a chat model under the file's name without its suffix.
    path: str | None = None
    #: The folder of the models; None: COATCHECK_MODELS_DIR, else coatcheck/models in the user's data folder.
    models_dir: str | None = None
    #: Tokens, prompt and answer together, that one chat call may have.
    context_tokens: int = field(default=8192, metadata={"min": 256})
    #: Calls that a chat model works on at once; each takes memory for its own context.
    parallel: int = field(default=2, metadata={"min": 1})
    #: Seconds without a call after which a model's process is stopped and its memory freed.
    idle_seconds: float = field(default=600.0, metadata={"min": 0})


class LocalProvider:
    """Serves the models of the manifest and a GGUF file of one's own. A model's process starts on its first call."""

    def __init__(self, name: str, options: LocalOptions) -> None:
        self._name = name
        self._options = options
        self._directory = models_directory(options.models_dir)
        self._models: dict[str, Model] = {}
        for model in options.models:
            if model not in MODELS:
                raise ValueError(f"there is no model {model}; there are {', '.join(MODELS)}")
            self._models[model] = MODELS[model]
        if options.path is not None:
            own = Path(options.path).stem
            self._models[own] = Model(name=own, family=Family.CHAT, about="a file of one's own", license="")
        self._workers: dict[str, Worker] = {}

    @property
    def policy(self) -> CallPolicy:
        return self._options.policy()

    @property
    def lanes(self) -> Mapping[str, int]:
        families = dict.fromkeys(model.family for model in self._models.values())
        return {f"{self._name}/{family}": self._options.concurrency for family in families}

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._models)

    def lane(self, operation: str, model: str) -> str:
        return f"{self._name}/{_FAMILY_OF[operation]}"

    def check(self, operation: str, model: str) -> str | None:
        able = self._able(operation)
        if model in able:
            return None
        if not able:
            every = dict.fromkeys(operation for known in self._models.values() for operation in known.carries_out)
            return f"has no operation {operation}; it has {', '.join(every)}"
        cure = f"it has {', '.join(able)}"
        if model in self._models:
            return f"has no operation {operation} for the model {model}; for that {cure}"
        return f"has no model {model} for {operation}; {cure}"

    def default(self, operation: str) -> str | None:
        return next(iter(self._able(operation)), None)

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        workers = list(self._workers.values())
        self._workers.clear()
        for worker in workers:
            await worker.close()

    async def ping(self) -> str:
        if packages := lacking(*self._models.values()):
            raise NotConfigured(
                f"Local models need {', '.join(packages)}: run `pip install 'coatcheck[local]'`.",
                code="package_missing",
            )
        here, cures = [], []
        for model in self._models:
            try:
                self._recipe(model)
            except NotConfigured as failure:
                cures.append(failure.message)
            else:
                here.append(model)
        found = f"has the files of {', '.join(here)}" if here else "has no model's files"
        if cures:
            raise NotConfigured(f"provider {self._name} {found}. {' '.join(cures)}", code="model_not_pulled")
        return found

    async def offers(self) -> Sequence[Offer]:
        return [
            Offer(
                id=model.name,
                operations=model.carries_out,
                about=model.about,
                license=model.license,
                voices=model.voices,
            )
            for model in self._models.values()
        ]

    async def execute(self, call: Call) -> Reply:
        if (why := self.check(call.operation, call.model)) is not None:
            raise NotConfigured(f"The provider {self._name} {why}.")
        if (worker := self._workers.get(call.model)) is None:
            worker = Worker(self._recipe(call.model), idle_seconds=self._options.idle_seconds)
            self._workers[call.model] = worker
        return await worker.call(call)

    def _able(self, operation: str) -> list[str]:
        """The models that carry it out."""
        return [
            name
            for name, known in self._models.items()
            if operation in known.carries_out or operation in known.features
        ]

    def worker_pid(self, model: str) -> int | None:
        """The model's process, while one is ready for calls."""
        worker = self._workers.get(model)
        return worker.pid if worker else None

    def _recipe(self, model: str) -> Recipe:
        """Raises `NotConfigured` if the model's files are not there."""
        options = self._options
        family = self._models[model].family
        arguments: dict[str, object] = {"model": model}
        if options.path is not None and model == Path(options.path).stem:
            file = Path(options.path).expanduser()
            if not file.is_file():
                raise NotConfigured(f"There is no file for the model {model}: see `path`.", code="model_not_found")
            arguments["path"] = str(file)
        elif missing([model], self._directory):
            raise NotConfigured(
                f"The model {model} is not on this machine: run `coatcheck models pull {model}`.",
                code="model_not_pulled",
            )
        elif files := MODELS[model].files:
            arguments["path"] = str(self._directory / model / files[0].name)
        if family is Family.CHAT:
            arguments |= {"context_tokens": options.context_tokens, "parallel": options.parallel}
        return Recipe(model=model, family=family, arguments=arguments, module=_WORKER)
