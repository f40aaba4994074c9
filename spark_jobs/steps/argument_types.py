"""What an argument may be: parsers for argparse, each refusing with the value and what to write instead."""

import argparse
import re
from collections.abc import Callable
from typing import NoReturn

from verger_rules.addresses import AddressError, S3Address, parse_folder_uri, parse_object_uri

from spark_jobs.job_errors import RefusedError


class JobArgumentParser(argparse.ArgumentParser):
    """Argparse that refuses by an exception, without printing its usage, and takes no abbreviations."""

    def __init__(self, prog: str, description: str | None) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise RefusedError with what argparse found wrong."""
        raise RefusedError(f"{self.prog}: {message}")


def object_address(text: str) -> S3Address:
    """`s3://bucket/key`."""
    return _or_argument_error(parse_object_uri, text)


def folder_address(text: str) -> S3Address:
    """`s3://bucket/folder`."""
    return _or_argument_error(parse_folder_uri, text)


def fingerprint(text: str) -> str:
    """A model's fingerprint: 16 hex digits."""
    if not re.fullmatch(r"[0-9a-f]{16}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no model fingerprint: write 16 hex digits")
    return text


def non_empty(text: str) -> str:
    """Any text that is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def share(*, zero_allowed: bool) -> Callable[[str], float]:
    """A number up to 1, from 0 or above it."""

    def parse(text: str) -> float:
        bounds = f"{'from' if zero_allowed else 'above'} 0 to 1"
        try:
            value = float(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {bounds}") from error
        if not (0.0 < value <= 1.0 or (zero_allowed and value == 0.0)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {bounds}")
        return value

    return parse


def _or_argument_error(parse: Callable[[str], S3Address], text: str) -> S3Address:
    try:
        return parse(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
