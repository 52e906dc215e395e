"""The API's OpenAPI document against the API itself, by requests that schemathesis makes up."""

from __future__ import annotations

from dataclasses import replace

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import BaseSchema, Case, GenerationMode
from support.page_node import PageNode

from dicom_node.web.app import build_app
from dicom_node.web.people.secrets import digest_of, new_secret


@pytest.fixture(scope="module")
def document(node: PageNode) -> BaseSchema:
    """The document as the page gives it, for the application itself."""
    any_name = replace(node.site, settings=node.site.settings.model_copy(update={"web_bind": "0.0.0.0"}))
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", build_app(any_name))


@pytest.fixture(scope="module")
def token(node: PageNode) -> str:
    """Of an operator, who may do all that the API offers."""
    secret = new_secret()
    node.site.accounts.add_token("operator", "schemathesis", digest_of(secret), "test")
    return secret


def test_every_answer_is_as_the_document_says(document: BaseSchema, token: str) -> None:
    """For good and bad requests of every operation: no answer 5xx, no status, type or body that is not promised."""
    operations = [result.ok() for result in document.get_all_operations()]
    assert {operation.method for operation in operations} == {"get", "post"}
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        @settings(max_examples=20, derandomize=True, deadline=None, database=None)
        def good(case: Case) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"})

        good()
        if operation.query or operation.path_parameters or operation.body:

            @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
            @settings(max_examples=20, derandomize=True, deadline=None, database=None)
            def bad(case: Case) -> None:
                case.call_and_validate(headers={"Authorization": f"Bearer {token}"})

            bad()
