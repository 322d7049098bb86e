"""The documentation says what the code does: generated tables, exit codes, links, verbs, settings, words."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.values import CASES, SHAPES

from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column
from tap_opendental.errors import ExitCode
from tap_opendental.settings import PROPERTIES
from target_opendental_replica.errors import ExitCode as ReplicaExitCode
from target_opendental_replica.settings import PROPERTIES as TARGET_PROPERTIES

ROOT = Path(__file__).resolve().parents[2]
TAP = Path(sys.executable).parent / "tap-opendental"
TARGET = Path(sys.executable).parent / "target-opendental-replica"
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name / "README.md" for name in ("tap-opendental", "target-opendental-replica", "analyze")),
    ]
)
SIGNALS = {130: "SIGINT", 143: "SIGTERM"}
# Names of the workplace and of download hosts, words that sell, words that name nothing. Classes of one letter keep
# this list from finding itself.
FORBIDDEN = re.compile(
    r"/w[o]rk\b|\.\./sh[a]red|\bissue #?\d|p[y]pi\.org|pythonh[o]sted|\b(seamless|powerful|robust|blazing|effortless|"
    r"cutting.edge|world.class|state.of.the.art|simply|easily|leverage|utiliz|delve)",
    re.IGNORECASE,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def about():
    """What the tap says of its settings."""
    return json.loads(subprocess.check_output([TAP, "--about", "--format=json"]))["settings"]


@pytest.fixture(scope="module")
def about_target():
    """What the target says of its settings."""
    return json.loads(subprocess.check_output([TARGET, "--about", "--format=json"]))["settings"]


@pytest.fixture(scope="module")
def plugins():
    """The plugins of meltano.yml by name."""
    groups = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]
    return {plugin["name"]: plugin for group in groups.values() for plugin in group}


def test_generated_tables_are_current():
    """Settings, types, values and secrets in the documents are what the code says today."""
    rendered = load_script("render_settings").render_documents()
    assert [name for name, text in rendered.items() if text != (ROOT / name).read_text()] == []


def test_a_stale_table_is_noticed():
    """A document that shows an older table is not equal to its rendering, so the check above can fail."""
    fill = load_script("render_settings").fill
    stale = "before\n<!-- settings: begin -->\n\nold\n<!-- settings: end -->\nafter\n"
    filled = fill(stale, {"settings": "new"})
    assert filled == "before\n<!-- settings: begin -->\n\nnew\n\n<!-- settings: end -->\nafter\n"
    assert fill(filled, {"settings": "new"}) == filled
    with pytest.raises(SystemExit, match="block settings"):
        fill("no comments", {"settings": "new"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_documented_ways_to_load_are_the_tested_ones(case):
    """What docs/type-fidelity.md says of LOAD DATA is what tests/integration/test_values.py does, type by type."""
    kind, _, charset = case.ddl.partition(" CHARACTER SET ")
    collation = f"{charset.split()[0]}_general_ci" if charset else None
    documented = load_script("render_settings").load_expression(kind, collation)
    assert documented == case.load.format("@col")


def test_every_type_that_is_tested_is_documented():
    """docs/type-fidelity.md has a line for each base type of the property tests; point and its like are geometry."""
    described = {Column("col", name).base_type for name, *_ in load_script("render_settings").TYPES}
    tested = {Column("col", case.ddl).base_type for case in CASES}
    assert tested - set(SHAPES) == described - {"geometry"}
    assert "geometry" in described


def test_every_secret_is_in_the_security_document():
    """docs/security.md names each column that is never selected, in its table's line."""
    lines = (ROOT / "docs/security.md").read_text().splitlines()
    missing = [
        (table, column)
        for table, column in load_knowledge().secrets()
        if not any(line.startswith(f"| `{table}` |") and f"`{column}`" in line for line in lines)
    ]
    assert missing == []


def test_exit_codes_are_in_one_table():
    """Every exit code is in docs/operations.md exactly once, with its name, and no number that nothing returns."""
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    expected = [*((code.value, code.name) for code in ExitCode), *SIGNALS.items()]
    assert [(int(number), name) for number, name in rows] == expected


def test_a_number_means_one_thing_everywhere():
    """The target's exit codes have the numbers of the tap's."""
    assert {code.name: code.value for code in ReplicaExitCode}.items() <= {c.name: c.value for c in ExitCode}.items()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(document):
    """Every link to a file exists, and every link to a heading names a heading of that file."""
    broken = [link for link in LINK.findall(document.read_text()) if "://" not in link and not resolves(document, link)]
    assert broken == []


def resolves(document, link):
    name, _, anchor = link.partition("#")
    target = (document.parent / name).resolve() if name else document
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(document):
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_that_lead_nowhere_are_noticed():
    """The check of links tells a missing file and a missing heading from those that exist."""
    readme = ROOT / "README.md"
    assert resolves(readme, "docs/operations.md#exit-codes")
    assert not resolves(readme, "docs/operations.md#no-such-heading")
    assert not resolves(readme, "docs/nowhere.md")


def test_verbs_exist():
    """Every `make` verb that a document names is in the Makefile, and README names at least demo and test."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    verbs = re.compile(r"(?:`|^    |^\$ )make ((?:[a-z][a-z0-9-]*[ `\n]?)+)", re.MULTILINE)
    named = {path: set(" ".join(verbs.findall(path.read_text())).replace("`", " ").split()) for path in DOCUMENTS}
    assert {path: names - targets for path, names in named.items() if names - targets} == {}
    assert {"demo", "test"} <= named[ROOT / "README.md"]


def test_meltano_knows_the_taps_settings(about, plugins):
    """meltano.yml lists each of the tap's own settings and no other, and the same ones as secret."""
    listed = {setting["name"]: setting for setting in plugins["tap-opendental"]["settings"]}
    own = PROPERTIES.to_dict()["properties"]
    assert own.keys() <= about["properties"].keys()
    assert listed.keys() - {"batch_config"} == own.keys()  # the SDK's own, which Meltano would not know
    secret = {name for name, body in about["properties"].items() if body.get("secret")}
    assert secret == {name for name, setting in listed.items() if setting.get("sensitive")} == {"password"}
    assert set(about["required"]) == set(plugins["tap-opendental"]["settings_group_validation"][0])


def test_meltano_knows_the_targets_settings(about_target, plugins):
    """The same of the target; of the SDK's settings the one that says whether `_sdc_` columns are written."""
    plugin = plugins["target-opendental-replica"]
    listed = {setting["name"]: setting for setting in plugin["settings"]}
    assert listed.keys() == TARGET_PROPERTIES.to_dict()["properties"].keys() | {"add_record_metadata"}
    secret = {name for name, body in about_target["properties"].items() if body.get("secret")}
    assert secret == {name for name, setting in listed.items() if setting.get("sensitive")} == {"password"}
    assert set(about_target["required"]) == set(plugin["settings_group_validation"][0])


@pytest.mark.parametrize(
    ("name", "said_by"), [("tap-opendental", "about"), ("target-opendental-replica", "about_target")]
)
def test_meltanos_kinds_and_choices_are_the_plugins(name, said_by, plugins, request):
    """A setting has the same kind, the same choices and no other default in meltano.yml than in the plugin."""
    kinds = {"date_iso8601": "string", "options": "string", "decimal": "number"}
    properties = request.getfixturevalue(said_by)["properties"]
    for setting in plugins[name]["settings"]:
        body = properties[setting["name"]]
        assert kinds.get(setting["kind"], setting["kind"]) in body["type"], setting["name"]
        assert [option["value"] for option in setting.get("options", [])] == body.get("enum", []), setting["name"]
        assert setting.get("value", body.get("default")) == body.get("default"), setting["name"]


def test_import_contracts_are_documented():
    """docs/architecture.md has a line for each import contract, by its name, and for no other."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition("| contract | why |\n| --- | --- |\n")[2].partition("\n\n")[0]
    assert [line.split(" | ")[0].strip("| ") for line in table.splitlines()] == [each["name"] for each in contracts]


def test_jobs_and_plugins_are_documented(plugins):
    """README names every plugin that runs as a block, and docs/operations.md or README every job."""
    readme, operations = ((ROOT / name).read_text() for name in ("README.md", "docs/operations.md"))
    runs = {name for name in plugins if name.startswith(("tap-", "target-"))}
    assert {name for name in runs if f"`{name}`" not in readme} == set()
    jobs = yaml.safe_load((ROOT / "meltano.yml").read_text())["jobs"]
    assert {job["name"] for job in jobs if f"`{job['name']}`" not in readme + operations} == set()


def test_the_example_environment_names_known_settings(about, plugins):
    """Each variable of .env.example is a setting of the tap, of a target, or Meltano's own database."""
    definition = json.loads((ROOT / "plugins/loaders/target-postgres--meltanolabs.lock").read_text())
    known = {
        "TAP_OPENDENTAL": about["properties"],
        "TARGET_POSTGRES": {setting["name"] for setting in definition["settings"]},
        "TARGET_OPENDENTAL_REPLICA": {s["name"] for s in plugins["target-opendental-replica"]["settings"]},
        "TARGET_OPENDENTAL_RAW": {s["name"] for s in plugins["target-opendental-replica"]["settings"]},
    }
    variables = {f"{prefix}_{name.upper()}" for prefix, names in known.items() for name in names}
    named = re.findall(r"^#?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(named) - variables - {"MELTANO_DATABASE_URI"} == set()
    assert {f"TAP_OPENDENTAL_{name.upper()}" for name in about["required"]} <= set(named)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_words(document):
    """No document names the workplace or a download host, sells, or carries an emoji."""
    text = document.read_text()
    assert text.strip()
    assert [found.group() for found in FORBIDDEN.finditer(text)] == []
    assert [character for character in text if ord(character) > 0xFFFF] == []


@pytest.mark.parametrize("text", ["A Powerful tap", "see issue 12", "read ../sh" + "ared first"])
def test_forbidden_words_are_noticed(text):
    """The search finds what it is for, in any case."""
    assert FORBIDDEN.search(text)
