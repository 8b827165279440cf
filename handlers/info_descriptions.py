"""What there is of features and models in words, as `descriptions` has the others."""

from ..engine.errors import InvalidRequest, Unacceptable, UnknownModel
from ..schemas import info_answers, parameters
from .vocabulary import Part, described, docs, match_info_schema, querystring_schema, refusals, response_schema

_OPEN = "Open to everyone. Providers are asked every five minutes which models they have."


def _named(id: str, summary: str, description: str = _OPEN) -> Part:
    return docs(tags=["universal"], operationId=id, summary=summary, description=description)


list_features = described(
    _named("listFeatures", "List features"),
    querystring_schema(info_answers.FeaturesQuery),
    response_schema(info_answers.Features, 200, "All of them, by the first part of their names."),
)

show_family = described(
    _named("showFamily", "Show the features of one family"),
    match_info_schema(info_answers.FamilyPath),
    querystring_schema(info_answers.FeaturesQuery),
    response_schema(info_answers.FeatureFamily, 200, "They."),
    refusals(Unacceptable),
)

show_feature = described(
    _named("showFeature", "Show a feature: what it takes and answers, its models and prices"),
    match_info_schema(info_answers.FeaturePath),
    querystring_schema(info_answers.FeatureQuery),
    response_schema(info_answers.FeatureInfo, 200, "It."),
    refusals(Unacceptable, InvalidRequest),
)


list_voices = described(
    _named("listVoices", "List voices", f"Those of the providers that tell them: `local`. {_OPEN}"),
    response_schema(info_answers.FeatureVoices, 200, "All that are known."),
)


def catalogue(path: str) -> Part:
    return described(
        docs(
            tags=["vendors"],
            operationId="list" + "".join(part.capitalize() for part in path.split("/")),
            summary="List models with their prices",
            description=_OPEN,
        ),
        querystring_schema(info_answers.ModelsQuery),
        response_schema(info_answers.CataloguedModels, 200, "All of them."),
    )


catalogued = described(
    docs(tags=["vendors"], operationId="getV3Models", summary="Show a model with its price"),
    match_info_schema(parameters.ModelPath),
    response_schema(info_answers.CataloguedModel, 200, "It."),
    refusals(UnknownModel),
)
