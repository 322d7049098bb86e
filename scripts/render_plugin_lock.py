"""Write the Meltano definition of target-postgres from what the program says of itself, so that no hub is asked.

Usage: render_plugin_lock.py PATH_OF_TARGET_POSTGRES > plugins/loaders/target-postgres--meltanolabs.lock
"""

import json
import subprocess
import sys

KINDS = {"boolean": "boolean", "integer": "integer", "object": "object", "array": "array", "string": "string"}
# The program marks none of its settings as secret.
SENSITIVE = ("password", "private_key", "sqlalchemy_url", "ssh_tunnel.")


def settings(schema: dict, prefix: str = "") -> list[dict]:
    """Settings in Meltano's form; nested objects become dotted names."""
    found = []
    for name, body in schema["properties"].items():
        types = [kind for kind in body.get("type", ["string"]) if kind != "null"]
        if types == ["object"] and body.get("properties"):
            found += settings(body, f"{prefix}{name}.")
            continue
        setting = {"name": prefix + name, "kind": KINDS[types[0]]}
        if any(word in prefix + name for word in SENSITIVE):
            setting["sensitive"] = True
        if body.get("description"):
            setting["description"] = body["description"].strip()
        found.append(setting)
    return found


def main() -> None:
    """Print the definition."""
    about = json.loads(subprocess.check_output([sys.argv[1], "--about", "--format=json"]))
    definition = {
        "plugin_type": "loaders",
        "name": "target-postgres",
        "namespace": "target_postgres",
        "variant": "meltanolabs",
        "label": "Postgres",
        "pip_url": f"meltanolabs-target-postgres=={about['version']}",
        "repo": "https://github.com/MeltanoLabs/target-postgres",
        "dialect": "postgres",
        "target_schema": "$TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA",
        "capabilities": sorted(about["capabilities"]),
        "settings_group_validation": [["host", "user", "password", "database"], ["sqlalchemy_url"]],
        "settings": settings(about["settings"]),
    }
    print(json.dumps(definition, indent=2))


if __name__ == "__main__":
    main()
