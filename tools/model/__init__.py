"""The steps of `tools/prepare_model.py`: weights, conversion, check, publishing."""
