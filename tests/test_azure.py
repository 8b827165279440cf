"""Kind `azure`: what the conformance suite does not say of its addresses."""

from typing import Any

import pytest

from coatcheck.engine.calls import Call, Offer
from coatcheck.engine.errors import CallFailed
from coatcheck.providers.openai.azure import AzureOptions, AzureProvider

from .upstreams import SECRET

ENVIRON = {"AZURE_OPENAI_API_KEY": SECRET}


def made(base_url: str = "https://name.openai.azure.com", **options: Any) -> AzureProvider:
    return AzureProvider("az", AzureOptions(base_url=base_url, **options), ENVIRON)


def address(provider: AzureProvider, operation: str, model: str = "gpt") -> str:
    return str(provider._url(Call(job_id="j", operation=operation, model=model, request={})))


@pytest.mark.parametrize("end", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
def test_a_resource_may_be_named_with_what_is_below_it(end: str) -> None:
    base = f"https://name.openai.azure.com{end}"
    plain, versioned = made(base), made(base, api_version="2024-10-21")
    assert address(plain, "chat/completions") == "https://name.openai.azure.com/openai/v1/chat/completions"
    assert address(versioned, "audio/speech", "my tts/1") == (
        "https://name.openai.azure.com/openai/deployments/my%20tts%2F1/audio/speech?api-version=2024-10-21"
    )
    assert address(versioned, "responses") == ("https://name.openai.azure.com/openai/responses?api-version=2024-10-21")


def test_a_gateway_before_the_resource_keeps_its_path_and_its_query() -> None:
    provider = made("https://gate.example/team/azure?api-version=preview&x=1")
    assert address(provider, "images/edits") == (
        "https://gate.example/team/azure/openai/v1/images/edits?api-version=preview&x=1"
    )


@pytest.mark.parametrize("deployment", [".", ".."])
def test_a_deployment_cannot_lead_out_of_its_place(deployment: str) -> None:
    provider = made(api_version="2024-10-21")
    with pytest.raises(CallFailed, match="cannot be part of an address") as caught:
        address(provider, "embeddings", deployment)
    assert (caught.value.status, caught.value.param) == (400, "model")


def test_what_it_offers_are_the_deployments_that_the_configuration_names(run: Any) -> None:
    assert run(made(models=("chat", "pictures")).offers()) == [Offer(id="chat"), Offer(id="pictures")]


def test_a_resource_is_needed_and_a_key_or_a_header_in_its_place() -> None:
    with pytest.raises(ValueError, match=r"base_url: it is needed, and is of the form https://NAME\.openai"):
        made("")
    with pytest.raises(ValueError, match="AZURE_OPENAI_API_KEY is not set"):
        AzureProvider("az", AzureOptions(base_url="https://name.openai.azure.com"), {})
    of_entra = AzureOptions(base_url="https://name.openai.azure.com", headers={"Authorization": "Bearer of-entra"})
    assert not AzureProvider("az", of_entra, {}).door.keyed
