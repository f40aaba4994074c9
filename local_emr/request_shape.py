"""Checks a request against the SDK's own description of the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, StructureShape
from botocore.validate import ParamValidator

from local_emr.errors import validation_error
from local_emr.model_constraints import broken_constraints

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape


def checked_request(body: bytes, operation: OperationModel) -> dict[str, Any]:
    """The request in `body`, with what the API does not know left out.

    Raises:
        ApiError: It is no JSON object, lacks something required, or a value has the wrong type, is none of the
            allowed ones, too long or too large, or does not match the model's pattern.
    """
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise validation_error(f"The request is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise validation_error("The request is not a JSON object.")
    shape = operation.input_shape
    if shape is None:
        return {}
    known = _known(request, shape)
    report = ParamValidator().validate(known, shape)
    if report.has_errors():
        raise validation_error(report.generate_report())
    if problems := list(broken_constraints(known, shape, shape.name)):
        raise validation_error("; ".join(problems))
    return dict(known)


def _known(value: Any, shape: Shape) -> Any:  # noqa: ANN401 - JSON of any shape
    """The value without unknown members and nulls."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = shape.members
        return {
            name: _known(member, members[name])
            for name, member in value.items()
            if name in members and member is not None
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_known(item, shape.member) for item in value]
    return value
