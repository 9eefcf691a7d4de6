"""Upstream's cases of lists of pipelines and of their versions."""

import pytest

FILE = "pipeline_api_test.go: "
PIPELINES = "List Pipelines API Tests > "
VERSIONS = "List Pipelines Versions API Tests > "
NEGATIVE = "Verify Pipeline Negative Tests > "
NOBODY = "00000000-0000-0000-0000-000000000000"
SINCE = {"operation": "GREATER_THAN", "key": "created_at", "string_value": "2000-01-01T00:00:00Z"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def case(*texts):
    name = FILE + " > ".join(text.rstrip(" >") for text in texts)
    return pytest.mark.conformance("pipelines-api", group="api-cases", name=name)


def each(*texts, version=None):
    """Have a test made of both kinds of things: names of the cases are alike."""
    last = version or texts[-1]
    return pytest.mark.parametrize(
        "things",
        [
            pytest.param("pipelines", marks=case(PIPELINES, *texts), id="pipelines"),
            pytest.param("versions", marks=case(VERSIONS, *texts[:-1], last), id="versions"),
        ],
        indirect=True,
    )


class Pipelines:
    """Pipelines of a namespace."""

    id_field, field = "pipeline_id", "pipelines"

    def __init__(self, kept):
        self.kept = kept

    def make(self, name, **query):
        return self.kept.upload(f"{self.kept.name}{name}", **query)

    def page(self, *predicates, **query):
        return self.kept.list(*predicates, **query)


class Versions:
    """Versions of a pipeline; the first is made with it, by `make` like the others."""

    id_field, field = "pipeline_version_id", "pipeline_versions"

    def __init__(self, kept):
        self.kept = kept
        self.pipeline = kept.create()

    def make(self, name, display_name=None, **query):
        # An upload of a version has no name for people: it is given one afterwards.
        made = self.kept.upload_version(self.pipeline, f"{self.kept.name}{name}", **query)
        if display_name is None:
            return made
        path = f"/pipelines/{made['pipeline_id']}/versions/{made['pipeline_version_id']}"
        return self.kept.api.call("PATCH", path, {"display_name": display_name}).body

    def page(self, *predicates, **query):
        return self.kept.list_versions(self.pipeline, *predicates, **query)


@pytest.fixture
def things(kept, request):
    return {"pipelines": Pipelines, "versions": Versions}[request.param](kept)


def listed(things, *predicates, **query):
    answer = things.page(*predicates, **query)
    assert answer.status == 200, answer
    return answer.body.get(things.field, [])


def total(things, *predicates, **query):
    return things.page(*predicates, **query).body.get("total_size", 0)


def names(things, *predicates, **query):
    return [
        one["name"].removeprefix(things.kept.name) for one in listed(things, *predicates, **query)
    ]


def equals(key, value, operation="EQUALS"):
    return {"operation": operation, "key": key, "string_value": value}


@each(
    "Basic List Operations >",
    "After creating a single pipeline",
    version="After creating a single pipeline version",
)
def test_one_is_listed(things):
    made = things.make("")
    assert listed(things) == [made]
    assert total(things) == 1


@each(
    "Basic List Operations >",
    "After creating multiple pipelines",
    version="After creating multiple pipeline versions",
)
def test_several_are_listed(things):
    made = [things.make(name) for name in ("-1", "-2", "-3")]
    ids = {one[things.id_field] for one in made}
    assert {one[things.id_field] for one in listed(things, page_size=100)} == ids
    assert total(things) == 3


@case(PIPELINES, "Basic List Operations >", "By namespace")
@case(PIPELINES, "Filtering >", "Filter by namespace")
def test_those_of_a_namespace(kept):
    kept.upload()
    found = kept.list().body
    assert found["total_size"] == 1
    assert {one["namespace"] for one in found["pipelines"]} == {kept.namespace}


@case(VERSIONS, "Basic List Operations >", "When no pipeline versions exist")
def test_no_version(kept):
    found = kept.list_versions(kept.create()).body
    assert (found.get("total_size", 0), found.get("pipeline_versions", [])) == (0, [])


@case(
    VERSIONS, "Basic List Operations >", "By pipeline ID - only returns versions for that pipeline"
)
def test_versions_of_one_pipeline_only(kept):
    for suffix in ("-pip1", "-pip2"):
        made = kept.upload(kept.name + suffix)
        (found,) = kept.versions(made)
        assert found["pipeline_id"] == made["pipeline_id"]


@each(
    "Pagination >",
    "List pipelines with page size limit",
    version="List pipeline versions with page size limit",
)
def test_a_page_is_no_larger_than_asked(things):
    things.make("-1")
    things.make("-2")
    found = things.page(page_size=1).body
    assert len(found[things.field]) == 1
    assert found["total_size"] == 2
    assert found["next_page_token"]


@each(
    "Pagination >",
    "List pipelines with pagination - iterate through all pages (at least 2)",
    version="List pipeline versions with pagination - iterate through all pages (at least 2)",
)
def test_pages_together_are_the_list(things):
    made = {things.make(name)[things.id_field] for name in ("-1", "-2", "-3")}
    found, token = [], None
    while token != "":
        page = things.page(page_size=2, page_token=token).body
        found.append([one[things.id_field] for one in page[things.field]])
        token = page.get("next_page_token", "")
    assert [len(page) for page in found] == [2, 1]
    assert {one for page in found for one in page} == made


@each("Sorting >", "Sort by name in ascending order")
def test_by_name(things):
    things.make("-zzz")
    things.make("-aaa")
    assert names(things, sort_by="name asc") == ["-aaa", "-zzz"]


@each("Sorting >", "Sort by name in descending order")
def test_by_name_from_the_end(things):
    things.make("-aaa")
    things.make("-zzz")
    assert names(things, sort_by="name desc") == ["-zzz", "-aaa"]


@each("Sorting >", "Sort by display name containing substring in ascending order")
def test_by_display_name(things):
    things.make("-1", display_name="display-zulu")
    things.make("-2", display_name="display-alpha")
    assert names(things, sort_by="display_name asc") == ["-2", "-1"]


@each("Sorting >", "Sort by display name containing substring in descending order")
def test_by_display_name_from_the_end(things):
    things.make("-1", display_name="display-alpha")
    things.make("-2", display_name="display-zulu")
    assert names(things, sort_by="display_name desc") == ["-2", "-1"]


@each("Sorting >", "Sort by creation date in ascending order")
def test_by_age(things):
    for name in ("-2", "-1"):
        things.make(name)
    times = [one["created_at"] for one in listed(things, sort_by="created_at asc")]
    assert times == sorted(times)


@each("Sorting >", "Sort by creation date in descending order")
def test_by_age_from_the_end(things):
    for name in ("-2", "-1"):
        things.make(name)
    times = [one["created_at"] for one in listed(things, sort_by="created_at desc")]
    assert times == sorted(times, reverse=True)


@each("Filtering >", "Filter by pipeline id", version="Filter by pipeline version id")
def test_of_an_id(things):
    wanted = things.make("-1")
    things.make("-2")
    chosen = equals(things.id_field, wanted[things.id_field])
    assert listed(things, chosen) == [wanted]
    assert total(things, chosen) == 1


@each("Filtering >", "Filter by name")
def test_of_a_name(things):
    wanted = things.make("-1")
    things.make("-2")
    assert listed(things, equals("name", wanted["name"])) == [wanted]


@each("Filtering >", "Filter by created at")
def test_of_an_age(things):
    things.make("")
    assert total(things, SINCE) == 1
    assert total(things, {**SINCE, "operation": "LESS_THAN"}) == 0


@each("Filtering >", "Filter by description")
def test_of_a_description(things):
    wanted = things.make("-1", description=f"unique-{things.kept.name}")
    things.make("-2", description="another")
    assert listed(things, equals("description", f"unique-{things.kept.name}")) == [wanted]


@each("Filtering >", "Filter by name NOT_EQUALS")
def test_of_other_names(things):
    other = things.make("-1")
    things.make("-2")
    assert names(things, equals("name", other["name"], "NOT_EQUALS")) == ["-2"]


@each(
    "Filtering >",
    "Filter by pipeline_id IN with string_value should fail",
    version="Filter by pipeline_version_id IN with string_value should fail",
)
def test_in_one_value(things):
    made = things.make("")
    answer = things.page(equals(things.id_field, made[things.id_field], "IN"))
    assert answer.status == 400, answer


@each(
    "Filtering >",
    "Filter by pipeline_id IN with stringValues array",
    version="Filter by pipeline_version_id IN with stringValues array",
)
def test_in_several_values(things):
    made = things.make("-1")
    things.make("-2")
    values = {"stringValues": {"values": [made[things.id_field]]}}
    assert listed(things, {"operation": "IN", "key": things.id_field, **values}) == [made]


@each("Combined Parameters >", "Filter and sort by name in ascending order")
def test_chosen_and_sorted_by_name(things):
    for name in ("-b", "-a"):
        things.make(name)
    things.kept.name = "other"
    if things.field == "pipelines":
        things.make("")
    chosen = equals("name", "apitest", "IS_SUBSTRING")
    found = [one["name"] for one in listed(things, chosen, sort_by="name asc")]
    assert len(found) == 2
    assert found == sorted(found)


@each("Combined Parameters >", "Filter and sort by created date in descending order")
def test_chosen_and_sorted_by_age(things):
    for name in ("-1", "-2"):
        things.make(name)
    times = [one["created_at"] for one in listed(things, SINCE, sort_by="created_at desc")]
    assert len(times) == 2
    assert times == sorted(times, reverse=True)


@case(
    PIPELINES,
    "Combined Parameters >",
    "Filter by created date and sort by updated date in descending order",
)
def test_chosen_by_age_and_sorted_by_what_has_no_second_time(kept):
    # Upstream's case sorts by created_at: pipelines know no time of an update.
    kept.upload()
    assert kept.list(SINCE, sort_by="created_at desc").status == 200
    assert kept.list(SINCE, sort_by="updated_at desc").status == 400


@each(
    "Filter by Tags >",
    "Filter pipelines by a single tag",
    version="Filter pipeline versions by a single tag",
)
def test_of_a_tag(things):
    wanted = things.make("-1", tags={"team": "ml-ops"})
    things.make("-2", tags={"team": "other"})
    things.make("-3")
    assert listed(things, equals("tags.team", "ml-ops")) == [wanted]
    assert wanted["tags"] == {"team": "ml-ops"}


@each(
    "Filter by Tags >",
    "Filter pipelines by multiple tags",
    version="Filter pipeline versions by multiple tags",
)
def test_of_several_tags(things):
    wanted = things.make("-1", tags={"team": "ml-ops", "env": "prod"})
    things.make("-2", tags={"team": "ml-ops", "env": "dev"})
    chosen = equals("tags.team", "ml-ops"), equals("tags.env", "prod")
    assert listed(things, *chosen) == [wanted]


@each(
    "Filter by Tags >",
    "Filter by tag that no pipeline has returns empty",
    version="Filter by tag that no version has returns empty",
)
def test_of_a_tag_that_is_nowhere(things):
    things.make("", tags={"team": "ml-ops"})
    chosen = equals("tags.nonexistent", "value")
    assert (total(things, chosen), listed(things, chosen)) == (0, [])


NO_MATCH = "Negative tag tests >", "Filter by tag with wrong value returns empty results"
NO_EQUALS = "Negative tag tests >", "Filter by tag with non-EQUALS operation should fail"


@pytest.mark.parametrize(
    "things",
    [
        pytest.param("pipelines", marks=case(NEGATIVE, *NO_MATCH)),
        pytest.param(
            "versions",
            marks=case(
                VERSIONS, "Filter by Tags >", "Filter by tag with wrong value returns empty"
            ),
        ),
    ],
    indirect=True,
)
def test_of_a_tag_with_another_value(things):
    things.make("", tags={"team": "ml-ops"})
    chosen = equals("tags.team", "wrong-value")
    assert (total(things, chosen), listed(things, chosen)) == (0, [])


@pytest.mark.parametrize(
    "things",
    [
        pytest.param("pipelines", marks=case(NEGATIVE, *NO_EQUALS)),
        pytest.param(
            "versions",
            marks=case(
                VERSIONS, "Filter by Tags >", "Filter by tag with non-EQUALS operation should fail"
            ),
        ),
    ],
    indirect=True,
)
def test_of_other_tags(things):
    answer = things.page(equals("tags.team", "ml-ops", "NOT_EQUALS"))
    assert answer.status == 400, answer
    assert "EQUALS" in answer.body["message"]


@case(VERSIONS, "Filter by Tags >", "Filter by tag combined with name filter")
def test_of_a_tag_and_a_name(kept):
    pipeline = kept.upload()
    wanted = kept.upload_version(pipeline, "v2", tags={"env": "combined"})
    kept.upload_version(pipeline, "v3", tags={"env": "combined"})
    chosen = equals("tags.env", "combined"), equals("name", "v2")
    found = kept.list_versions(pipeline, *chosen).body
    assert (found["total_size"], found["pipeline_versions"]) == (1, [wanted])


LIST_TAGS = "List pipeline versions with tags '/pipelines/{pipeline_id}/versions' >"


@case(
    VERSIONS,
    "Pipeline Version Tags in List >",
    "Versions with tags should include tags in list response",
)
@case(
    "Get Pipeline Version API Tests > ",
    LIST_TAGS,
    "List versions and verify tags are included in response",
)
def test_tags_of_versions_are_listed(kept):
    pipeline = kept.upload()
    kept.upload_version(pipeline, "v2", tags={"env": "staging", "team": "ml"})
    found = {one["display_name"]: one.get("tags") for one in kept.versions(pipeline)}
    assert found == {kept.name: None, "v2": {"env": "staging", "team": "ml"}}


@case(
    VERSIONS,
    "Pipeline Version Tags in List >",
    "Versions without tags should have empty tags in list response",
)
@case(
    "Get Pipeline Version API Tests > ",
    LIST_TAGS,
    "Version created without tags should have empty tags in list",
)
def test_a_version_without_tags(kept):
    (found,) = kept.versions(kept.upload())
    assert "tags" not in found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(
            "name",
            "nonexistent-pipeline-name-xyz",
            marks=case(NEGATIVE, "List pipelines >", "By partial name"),
        ),
        pytest.param("name", "", marks=case(NEGATIVE, "List pipelines >", "By invalid name")),
        pytest.param(
            "pipeline_id", NOBODY, marks=case(NEGATIVE, "List pipelines >", "By invalid ID")
        ),
        pytest.param(
            "pipeline_id",
            "invalid-!@#$^&*",
            marks=case(NEGATIVE, "List pipelines >", "By invalid ID containing ASCII characters"),
        ),
    ],
)
def test_what_nothing_is_like(kept, key, value):
    kept.upload()
    answer = kept.list(equals(key, value))
    assert answer.status == 200, answer
    assert (answer.body.get("total_size", 0), answer.body.get("pipelines", [])) == (0, [])
