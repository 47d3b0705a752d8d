"""Commands beside Pulumi: they check, price, explain and repair a stack."""
