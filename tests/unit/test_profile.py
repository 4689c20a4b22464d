"""Where dbt's profile puts the warehouse, and what is missing in a sentence that names the file."""

import pytest

from commands.profile import file_of
from commands.warehouse import Problem

OWN = "{{ env_var('CQOX_WAREHOUSE', 'warehouse.duckdb') }}"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dbt_project.yml").write_text("profile: p\n")
    (tmp_path / "profiles.yml").write_text(f"""
p:
  target: "{{{{ env_var('WHICH', 'dev') }}}}"
  outputs:
    dev: {{type: duckdb, path: "{OWN}"}}
    own: {{type: duckdb, path: own.duckdb}}
    memory: {{type: duckdb}}
    cloud: {{type: duckdb, path: "md:x"}}
    secret: {{type: duckdb, path: "{{{{ env_var('NOT_SET') }}}}"}}
    other: {{type: postgres}}
""")
    return tmp_path


def found(project, *arguments, **environment):
    return file_of(project, list(arguments), {"DBT_PROFILES_DIR": str(project), **environment})


def test_the_path_is_that_of_the_target(project):
    assert found(project) == "warehouse.duckdb"
    assert found(project, CQOX_WAREHOUSE="/x/w.duckdb") == "/x/w.duckdb"
    for words in (("--target", "own"), ("--target=own",), ("-t", "own")):
        assert found(project, *words, CQOX_WAREHOUSE="/x") == "own.duckdb"
    assert found(project, WHICH="own") == found(project, DBT_TARGET="own") == "own.duckdb"
    assert found(project, "--profiles-dir", ".", DBT_PROFILES_DIR="/nowhere") == "warehouse.duckdb"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere", "profiles.yml has no output 'nowhere' in profile 'p': it has dev, own"),
        ("memory", "profiles.yml names the warehouse ':memory:', which is no file"),
        ("cloud", "profiles.yml names the warehouse 'md:x', which is no file"),
        ("secret", "reads the environment variable NOT_SET, which is not set"),
        ("other", "output 'other' of .*profiles.yml is no DuckDB file"),
    ],
)
def test_a_target_that_is_no_file_is_told(project, target, words):
    with pytest.raises(Problem, match=words):
        found(project, "--target", target)


def test_what_is_missing_is_told_by_file(project):
    with pytest.raises(Problem, match="has no profile 'q'"):
        found(project, "--profile", "q")
    (project / "profiles.yml").write_text("p: [")
    with pytest.raises(Problem, match=r"profiles\.yml is not valid YAML"):
        found(project)
    (project / "profiles.yml").write_text("")
    with pytest.raises(Problem, match=r"profiles\.yml is empty"):
        found(project)
    (project / "profiles.yml").unlink()
    with pytest.raises(Problem, match=r"profiles\.yml is not there, so there is no profile for dbt"):
        found(project)
    (project / "dbt_project.yml").unlink()
    with pytest.raises(Problem, match=r"dbt_project\.yml is not there, so there is no dbt project"):
        found(project)
