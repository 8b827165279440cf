"""Azure OpenAI: OpenAI's API at a resource of one's own, where a model is named by its deployment.

It has two surfaces. Under `/openai/v1/` it is OpenAI's API, and the deployment is the request's `model`. The older one,
taken where `api_version` is set, has the deployment in the path and a dated version in the query.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from yarl import URL

from ...engine.calls import Call, Offer
from ..http import Door
from ..presets import PRESETS, Preset
from .provider import OpenAIOptions, OpenAIProvider

#: On the older surface responses have no deployment in their path, and name it as their model.
_WITHOUT_DEPLOYMENT = ("responses",)


@dataclass(frozen=True, kw_only=True)
class AzureOptions(OpenAIOptions):
    #: The resource: "https://NAME.openai.azure.com"; what is below it is added.
    base_url: str = ""
    #: A dated version of the older surface, such as "2024-10-21"; None: the surface without versions.
    api_version: str | None = None


class AzureProvider(OpenAIProvider):
    def __init__(
        self,
        name: str,
        options: AzureOptions,
        environ: Mapping[str, str] = os.environ,
        *,
        preset: Preset = PRESETS["azure"],
    ) -> None:
        if not options.base_url:
            raise ValueError("base_url: it is needed, and is of the form https://NAME.openai.azure.com")
        self._version = options.api_version
        super().__init__(name, options, environ, preset=preset)

    async def offers(self) -> Sequence[Offer]:
        # What a resource lists are models that could be deployed; what can be called are its deployments.
        return [Offer(id=model) for model in self.models]

    def _opened(self, name: str, environ: Mapping[str, str]) -> Door:
        base = URL(self._options.base_url)
        path = base.raw_path.rstrip("/").removesuffix("/v1").removesuffix("/openai")
        surface = "/openai" if self._version else "/openai/v1"
        return Door(
            name,
            replace(self._options, base_url=str(base.with_path(path + surface, encoded=True).with_query(base.query))),
            authorise=lambda key: {"api-key": key},
            environ=environ,
            default_env=self._key_env(),
        )

    def _url(self, call: Call) -> URL:
        if self._version is None:
            return super()._url(call)
        segments = call.operation.split("/")
        if call.operation not in _WITHOUT_DEPLOYMENT:
            segments = ["deployments", call.model, *segments]
        return self.door.url(*segments, **{"api-version": self._version})

    def _models_url(self) -> URL:
        return self.door.url("models", **({"api-version": self._version} if self._version else {}))
