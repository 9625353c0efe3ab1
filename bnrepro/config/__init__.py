"""Typed configuration: rules, schema, composition, identity, claims."""

from bnrepro.config.compose import compose, validate, variants
from bnrepro.config.schema import DataConfig

__all__ = ["DataConfig", "compose", "validate", "variants"]
