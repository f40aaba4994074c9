"""AWS's price list files, and the price table that `tools/make_price_table.py` makes of them."""
