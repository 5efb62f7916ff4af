"""Checks a value against the part of JSON Schema that docs/sweep.schema.json uses. An unknown keyword is an error."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,),
    "number": (int, float),
}  # fmt: skip
_REMARKS = ("$schema", "$id", "$defs", "title", "description")


def valid(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None) -> bool:
    """Return whether ``value`` is what ``schema`` describes; references are to ``root``."""
    root = root or schema
    return all(_keeps(value, key, rule, schema, root) for key, rule in schema.items() if key not in _REMARKS)


def _keeps(value: Any, key: str, rule: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    is_table, is_list = isinstance(value, dict), isinstance(value, list)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match key:
        case "$ref":
            return valid(value, root["$defs"][rule.removeprefix("#/$defs/")], root)
        case "type":
            return isinstance(value, _TYPES[rule]) and (rule == "boolean" or not isinstance(value, bool))
        case "const":
            return type(value) is type(rule) and bool(value == rule)
        case "enum":
            return any(type(value) is type(one) and value == one for one in rule)
        case "anyOf":
            return any(valid(value, one, root) for one in rule)
        case "not":
            return not valid(value, rule, root)
        case "required":
            return not is_table or all(name in value for name in rule)
        case "properties":
            return not is_table or all(valid(value[name], one, root) for name, one in rule.items() if name in value)
        case "additionalProperties":
            others = [value[name] for name in value if name not in schema.get("properties", {})] if is_table else []
            return not others if rule is False else all(valid(one, rule, root) for one in others)
        case "propertyNames":
            return not is_table or all(valid(name, rule, root) for name in value)
        case "items":
            return not is_list or all(valid(one, rule, root) for one in value)
        case "minItems" | "minProperties" | "minLength":
            return not isinstance(value, dict | list | str) or len(value) >= rule
        case "maxItems" | "maxLength":
            return not isinstance(value, dict | list | str) or len(value) <= rule
        case "minimum":
            return not is_number or value >= rule
        case "maximum":
            return not is_number or value <= rule
    raise AssertionError(f"the schema uses {key}, which this does not know")
