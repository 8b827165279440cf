"""What `/v3/info` and `/v3/models` take and answer, for the document: features, their schemas, models and prices."""

from typing import ClassVar

from .answers import Answer, decimal
from .fields import Examples, Integer, ListOf, Null, Object, OneOf, Text
from .parameters import Parameters

FeaturesQuery = Parameters.from_dict(
    {"include": Text("`schemas`: what each feature takes and answers, too.")}, name="FeaturesQuery"
)
FeatureQuery = Parameters.from_dict(
    {"format": Text("How the two schemas are written.", enum=("simplified", "json_schema"))}, name="FeatureQuery"
)
FamilyPath = Parameters.from_dict({"feature": Text("The first part of the name.", required=True)}, name="FamilyPath")
FeaturePath = Parameters.from_dict(
    {
        "feature": Text("The first part of the name.", required=True),
        "subfeature": Text("The second part.", required=True),
    },
    name="FeaturePath",
)
ModelsQuery = Parameters.from_dict({"view": Text("Accepted, and makes no difference.")}, name="ModelsQuery")

_MODEL = {
    "model": "text/embeddings/openai/text-embedding-3-small",
    "pricing": {"price": "0.02", "price_unit_quantity": 1000000, "price_unit_type": "token"},
    "regions": [],
}
_SUBFEATURE = {
    "name": "embeddings",
    "fullname": "Embeddings",
    "description": "Turns texts into vectors.",
    "mode": "sync",
    "models": [_MODEL],
}
_FAMILY = {"name": "text", "fullname": "Text", "description": "Reads texts.", "subfeatures": [_SUBFEATURE]}
_JOB = "/v3/universal-ai/async/{job_id}"
_FEATURE = {
    "feature": "text",
    "feature_fullname": "Text",
    "subfeature": "embeddings",
    "subfeature_fullname": "Embeddings",
    "description": "Turns texts into vectors.",
    "mode": "sync",
    "endpoints": {
        "create": {"method": "POST", "url": "/v3/universal-ai"},
        "create_async": {"method": "POST", "url": "/v3/universal-ai/async"},
        "get": {"method": "GET", "url": _JOB},
        "list": {"method": "GET", "url": "/v3/universal-ai/async"},
        "delete": {"method": "DELETE", "url": _JOB},
    },
    "input_schema": {"fields": [{"name": "texts", "type": "array", "items": {"type": "string"}, "required": True}]},
    "output_schema": {"fields": [{"name": "items", "type": "array", "items": {"type": "object"}, "required": True}]},
    "models": [_MODEL],
    "kinds": ["local", "openai"],
}
_CATALOGUED = {
    "id": "openai/gpt-4o-mini",
    "object": "model",
    "created": 1721172741,
    "owned_by": "openai",
    "model_name": "gpt-4o-mini",
    "operations": ["chat/completions", "responses"],
    "aliases": [],
    "pricing": {"input_cost_per_token": "0.00000015", "output_cost_per_token": "0.0000006"},
}


class FeaturePricing(Answer):
    price = decimal("US dollars for so many units.")
    price_unit_quantity = Integer(required=True, minimum=1)
    price_unit_type = Text(required=True, known=("token", "char", "second", "minute", "image", "page", "request"))


class FeatureRegion(Answer):
    code = Text(required=True)
    name = Text(required=True)


class FeatureModel(Answer):
    model = Text("As requests name it: `feature/subfeature/provider/model`.", required=True)
    # Always there: null where it is not known.
    pricing = OneOf(Object(FeaturePricing), Null(), about="Null where one price is not known, or does not say it all.")
    regions = ListOf(Object(FeatureRegion), about="Where it runs, as far as that is known.", required=True)


class Subfeature(Answer):
    name = Text(required=True)
    fullname = Text(required=True)
    description = Text(required=True)
    mode = Text("How Eden AI runs it; here every one can be run either way.", required=True, enum=("sync", "async"))
    input_schema = Object(about="What it takes, if schemas are asked for.")
    output_schema = Object(about="What it answers, if schemas are asked for.")
    models = ListOf(Object(FeatureModel), about="Each provider's default first.", required=True)


class FeatureFamily(Answer):
    name = Text(required=True)
    fullname = Text(required=True)
    description = Text(required=True)
    subfeatures = ListOf(Object(Subfeature), required=True)

    examples: ClassVar[Examples] = {"Texts": _FAMILY}


class Features(Answer):
    features = ListOf(Object(FeatureFamily), required=True)

    examples: ClassVar[Examples] = {"One": {"features": [_FAMILY]}}


class FeatureEndpoint(Answer):
    method = Text(required=True)
    url = Text(required=True)


class FeatureEndpoints(Answer):
    create = Object(FeatureEndpoint, "Of a feature of mode `sync` it answers with the result, else with a job.")
    create_async = Object(FeatureEndpoint, "Of a feature of mode `sync`: answers with a job.")
    get = Object(FeatureEndpoint)
    list = Object(FeatureEndpoint)
    delete = Object(FeatureEndpoint)


class FeatureInfo(Answer):
    feature = Text(required=True)
    feature_fullname = Text(required=True)
    subfeature = Text(required=True)
    subfeature_fullname = Text(required=True)
    description = Text(required=True)
    mode = Text(required=True, enum=("sync", "async"))
    endpoints = Object(FeatureEndpoints, required=True)
    input_schema = Object(about="What it takes: `fields`, or JSON Schema.", required=True)
    output_schema = Object(about="What it answers, in the same way.", required=True)
    models = ListOf(Object(FeatureModel), about="Each provider's default first.", required=True)
    kinds = ListOf(Text(), about="The kinds of providers that can carry it out.", required=True)

    examples: ClassVar[Examples] = {"Embeddings": _FEATURE}


class FeatureVoice(Answer):
    voice = Text("As requests name it.", required=True)
    provider = Text(required=True)
    model = Text("The model that has it: `feature/subfeature/provider/model`.", required=True)


class FeatureVoices(Answer):
    voices = ListOf(Object(FeatureVoice), required=True)

    examples: ClassVar[Examples] = {
        "One": {"voices": [{"voice": "heart", "provider": "local", "model": "audio/tts/local/hibari-heart"}]}
    }


class TokenPricing(Answer):
    input_cost_per_token = decimal("US dollars.")
    output_cost_per_token = decimal("US dollars.")


class CataloguedModel(Answer):
    id = Text("As requests name it: `provider/model`.", required=True)
    object = Text(required=True, enum=("model",))
    created = Integer("Seconds since 1970; 0 where it is not known.", required=True)
    owned_by = Text("The provider.", required=True)
    model_name = Text("As the provider names it.", required=True)
    operations = ListOf(Text(), about="What it can be asked for.", required=True)
    aliases = ListOf(Text(), about="Other names that requests may give it.", required=True)
    description = Text("What it is.")
    license = Text("The SPDX identifier of its weights' licence.")
    pricing = Object(TokenPricing, "Where it is known.")

    examples: ClassVar[Examples] = {"A model": _CATALOGUED}


class CataloguedModels(Answer):
    object = Text(required=True, enum=("list",))
    data = ListOf(Object(CataloguedModel), required=True)

    examples: ClassVar[Examples] = {"One": {"object": "list", "data": [_CATALOGUED]}}
