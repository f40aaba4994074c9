"""Every request that a test's own process sends to AWS, and every answer of the local EMR, held against AWS's models.

The SDK checks types and what is required before it sends anything; that values keep the model's lengths, ranges,
patterns and enumerations is left to the service, which nobody asks here. The models are botocore's, of the version that
runs. Requests of other processes, such as Airflow's in `tests/e2e`, are checked by the local EMR, as far as they are
EMR's own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.model import Shape
from botocore.validate import ParamValidator, ValidationErrors

from local_emr.api import EmrApi
from local_emr.model_constraints import broken_constraints


class BrokenModelError(AssertionError):
    """A request or an answer that AWS's model does not allow."""


class _Strictness:
    """Of this whole process: the local EMR's threads, which read requests with the same validator, included."""

    wrong_on_purpose = False


@contextmanager
def wrong_on_purpose() -> Iterator[None]:
    """Send what the model does not allow, to see the service refuse it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Strictness, "wrong_on_purpose", True)
        yield


@contextmanager
def held_against_models() -> Iterator[None]:
    """Refuse, for as long as the context is open, what the models do not allow.

    Every client of botocore and aiobotocore has its requests checked by `ParamValidator.validate`.
    """
    validate, perform = ParamValidator.validate, EmrApi._perform

    def strictly(self: ParamValidator, params: Any, shape: Shape) -> ValidationErrors:
        report: ValidationErrors = validate(self, params, shape)
        if (
            not _Strictness.wrong_on_purpose
            and not report.has_errors()
            and (problems := list(broken_constraints(params, shape, shape.name)))
        ):
            raise BrokenModelError(f"AWS would refuse this: {'; '.join(problems)}")
        return report

    def and_check(self: EmrApi, operation: str, environ: Any) -> dict[str, Any]:
        answer = perform(self, operation, environ)
        check_answer(self, operation, answer)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ParamValidator, "validate", strictly)
        patch.setattr(EmrApi, "_perform", and_check)
        yield


def check_answer(api: EmrApi, operation: str, answer: Mapping[str, Any]) -> None:
    """Raise BrokenModelError for an answer that EMR could not give."""
    shape = api._model.operation_model(operation).output_shape
    if shape is None:
        if answer:
            raise BrokenModelError(f"{operation} has no answer, and this was given: {answer}")
        return
    report = ParamValidator().validate(_without_nulls(answer), shape)
    if report.has_errors():
        raise BrokenModelError(f"EMR's {operation} does not answer so: {report.generate_report()}")


def _without_nulls(value: Any) -> Any:
    """JSON's null is a member that is not there."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(item) for item in value]
    return value
