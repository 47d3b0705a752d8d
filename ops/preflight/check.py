"""The result of one check of preflight."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """The result of one check; `fix` is empty if it is ok."""

    name: str
    ok: bool
    said: str
    fix: str = ""


def choice(key: str, value: str, choices: list[str], where: str = "", option: str = "") -> Check:
    """Checks that a key has one of the values that DigitalOcean offers."""
    if value in choices:
        return Check(key, True, f"{value}{where}")
    shown = ", ".join(choices[:13]) or "none"
    fix = f"pulumi config set {option}{key} {choices[0]}" if choices else "choose another region"
    return Check(key, False, f'"{value}" is not on offer{where}; allowed: {shown}', fix)
