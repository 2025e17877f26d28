"""The listing by tags: to its end or not at all, and whatever it answers."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from bootstrap.aws.calls import Calls
from bootstrap.aws.tagged_resources import MOST_PAGES, AwsTaggedResources
from bootstrap.core.errors import AccessDeniedError, Side, UnavailableError

TAGS = {"project": "dynamodb-replication", "stack": "prod"}


class Tagging:
    """Answers GetResources, a page after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), list[dict[str, Any]]()

    def get_resources(self, **request: Any) -> Any:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def page(*arns: Any, token: str | None = "") -> dict[str, Any]:
    mapped = [{"ResourceARN": arn, "Tags": []} for arn in arns]
    return {"ResourceTagMappingList": mapped, "PaginationToken": token}


def listed(tagging: Tagging) -> Any:
    return AwsTaggedResources(Calls(Side.SOURCE, "Role exporter"), tagging).arns(TAGS)


def test_every_page_is_read_with_both_tags() -> None:
    tagging = Tagging(page("arn:a", token="more"), page("arn:b", token=None))
    assert listed(tagging) == ["arn:a", "arn:b"]
    first, second = tagging.asked
    assert first["TagFilters"] == [
        {"Key": "project", "Values": ["dynamodb-replication"]},
        {"Key": "stack", "Values": ["prod"]},
    ]
    assert "PaginationToken" not in first
    assert second == {**first, "PaginationToken": "more"}


@pytest.mark.parametrize(
    "answer", [{}, {"ResourceTagMappingList": None}, page(None), {"ResourceTagMappingList": [{}]}]
)
def test_an_answer_of_another_form_lists_nothing(answer: dict[str, Any]) -> None:
    assert listed(Tagging(answer)) == []


def test_a_listing_that_does_not_end_is_unknown() -> None:
    with pytest.raises(UnavailableError, match="does not end"):
        listed(Tagging(page("arn:a", token="same")))
    endless = Tagging(*(page("arn:a", token=str(n)) for n in range(MOST_PAGES + 1)))
    with pytest.raises(UnavailableError, match="does not end"):
        listed(endless)
    assert len(endless.asked) == MOST_PAGES


def test_a_refusal_and_an_answer_that_is_no_answer_are_foreseen_errors() -> None:
    refusal = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetResources")
    with pytest.raises(AccessDeniedError, match="may not tag:GetResources"):
        listed(Tagging(refusal))
    with pytest.raises(UnavailableError, match="no XML"):
        listed(Tagging(ResponseParserError("no XML")))
