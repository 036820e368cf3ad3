"""What a worker's key may ask of each field of the schema, and what not."""

from collections.abc import Callable
from typing import Any, NamedTuple

from multistage.wandb_server.nodes import encode_node

UID = "abcd1234"
OWN, OTHER = "own", "foreign"
MD5 = "1B2M2Y8AsgTpgAmY7PhCfg=="

Given = dict[str, Any]


class Place(NamedTuple):
    """A project with one sweep's runs, another sweep of it, and another project."""

    sweep: str
    rival: str
    agent: str
    rival_agent: str
    foreign: str
    artifact: str
    foreign_artifact: str
    manifest: str
    foreign_manifest: str
    whole_artifact: str
    foreign_portfolio: str


def describe_manifest(artifact: str, **more: Any) -> Given:
    return {"artifactID": artifact, "name": "m", "digest": "d", "projectName": OWN, **more}


def describe(project: str, **more: Any) -> Given:
    return {
        "projectName": project,
        "artifactTypeName": "model",
        "artifactCollectionName": "weights",
        "digest": "d",
        "clientID": f"client-{project}",
        **more,
    }


class Row(NamedTuple):
    """What may be asked of a field, and what not."""

    query: str
    allowed: Callable[[Place], list[Given]] = lambda _: []
    refused: Callable[[Place], list[Given]] = lambda _: [{}]


def mutate(name: str, kind: str, answer: str) -> str:
    return f"mutation M($i: {kind}) {{{name}(input: $i) {{{answer}}}}}"


def inputs(*given: Given) -> list[Given]:
    return [{"i": one} for one in given]


def run_id(project: str, name: str) -> str:
    return encode_node("Run", name, project, "local")


COLLECTION = {"entityName": "local", "projectName": OWN, "artifactCollectionName": "weights", "tags": []}
PARTS = {"completeMultipartAction": "Complete", "completedParts": [], "storagePath": "p", "uploadID": "u"}
CLOSED_TO_WORKERS: dict[str, Given] = {
    "createCustomChart": {
        "entity": "local", "name": "c", "displayName": "c", "type": "vega2", "access": "private", "spec": "{}"
    },
    "createArtifactCollectionTagAssignments": COLLECTION,
    "deleteArtifactCollectionTagAssignments": COLLECTION,
    "deleteArtifactPortfolio": {"artifactPortfolioID": "x"},
    "deleteArtifactSequence": {"artifactSequenceID": "x"},
    "updateArtifactPortfolio": {"artifactPortfolioID": "x", "name": "n"},
    "updateArtifactSequence": {"artifactSequenceID": "x", "name": "n"},
    "moveArtifactSequence": {"artifactSequenceID": "x", "destinationArtifactTypeName": "n"},
    "unlinkArtifact": {"artifactID": "x", "artifactPortfolioID": "x"},
}  # fmt: skip
"""What an owner does with artifacts and people, and no training."""


def refuse_always(given: Given) -> Callable[[Place], list[Given]]:
    return lambda _: inputs(given)


ARTIFACT = "artifact {id}"
TABLE: dict[str, Row] = {
    "viewer": Row("{viewer {id entity}}", lambda _: [{}], lambda _: []),
    "serverInfo": Row("{serverInfo {features {name}}}", lambda _: [{}], lambda _: []),
    "entity": Row("{entity {id name}}", lambda _: [{}], lambda _: []),
    "models": Row("{models {edges {node {name}}}}"),
    "model": Row(
        "query Q($p: String) {model(name: $p) {id}}", lambda _: [{"p": OWN}], lambda _: [{"p": OTHER}, {"p": "none"}]
    ),
    "project": Row(
        "query Q($p: String) {project(name: $p) {id runs {edges {node {name}}} sweeps {edges {node {name}}}}}",
        lambda _: [{"p": OWN}],
        lambda _: [{"p": OTHER}, {"p": "none"}],
    ),
    "artifact": Row(
        "query Q($a: ID!) {artifact(id: $a) {id}}",
        lambda place: [{"a": place.artifact}],
        lambda place: [{"a": place.foreign_artifact}],
    ),
    "clientIDMapping": Row(
        "query Q($c: ID!) {clientIDMapping(clientID: $c) {serverID}}",
        lambda _: [{"c": f"client-{OWN}"}],
        lambda _: [{"c": f"client-{OTHER}"}],
    ),
    "upsertModel": Row(
        mutate("upsertModel", "UpsertModelInput!", "inserted"),
        refused=lambda _: inputs({"name": OWN, "description": "x"}, {"name": "new"}),
    ),
    "upsertSweep": Row(
        mutate("upsertSweep", "UpsertSweepInput!", "sweep {id}"),
        refused=lambda place: inputs(
            {"projectName": OWN, "config": f"name: x ({UID})\nmethod: custom"},
            {"id": encode_node("Sweep", place.sweep, OWN, "local"), "state": "CANCELED"},
        ),
    ),
    "enqueueSweepRun": Row(
        mutate("enqueueSweepRun", "EnqueueSweepRunInput!", "id"),
        refused=lambda place: inputs({"id": encode_node("Sweep", place.sweep, OWN, "local"), "config": "{}"}),
    ),
    "createAgent": Row(
        mutate("createAgent", "CreateAgentInput!", "agent {id}"),
        lambda place: inputs({"host": "h", "projectName": OWN, "sweep": place.sweep}),
        lambda place: inputs(
            {"host": "h", "projectName": OWN, "sweep": place.rival},
            {"host": "h", "projectName": OTHER, "sweep": place.foreign},
            {"host": "h", "projectName": OTHER, "sweep": place.sweep},
        ),
    ),
    "agentHeartbeat": Row(
        mutate("agentHeartbeat", "AgentHeartbeatInput!", "commands"),
        lambda place: inputs({"id": place.agent, "runState": '{"some": true}'}),
        lambda place: inputs({"id": place.rival_agent}, {"id": "nothing"}),
    ),
    "upsertBucket": Row(
        mutate("upsertBucket", "UpsertBucketInput!", "bucket {id}"),
        lambda place: inputs(
            {"modelName": OWN, "name": "another-fold"},
            {"modelName": OWN, "name": "trained", "sweep": place.sweep},
            {"id": run_id(OWN, "trained"), "notes": "x"},
        ),
        lambda place: inputs(
            {"modelName": OTHER, "name": "fold"},
            {"modelName": OTHER, "name": "new"},
            {"modelName": "new-project", "name": "new"},
            {"modelName": OTHER, "name": "trained", "sweep": place.sweep},
            {"modelName": OWN, "name": "theirs"},
            {"modelName": OWN, "name": "stray", "sweep": place.rival},
            {"id": run_id(OWN, "theirs"), "notes": "x"},
            {"id": run_id(OTHER, "fold"), "notes": "x"},
        ),
    ),
    "stopRun": Row(mutate("stopRun", "IdInput!", "success"), refused=lambda _: inputs({"id": run_id(OWN, "trained")})),
    "deleteRun": Row(
        mutate("deleteRun", "IdInput!", "clientMutationId"), refused=lambda _: inputs({"id": run_id(OWN, "trained")})
    ),
    "updateRunState": Row(
        mutate("updateRunState", "UpdateRunStateInput!", "success"),
        refused=lambda _: inputs({"id": run_id(OWN, "fold"), "state": "failed"}),
    ),
    **{
        name: Row(
            mutate(name, "RunFilesInput!", answer),
            lambda _: inputs({"projectName": OWN, "runName": "trained", "files": ["a"]}),
            lambda _: inputs(
                {"projectName": OWN, "runName": "theirs", "files": ["a"]},
                {"projectName": OTHER, "runName": "fold", "files": ["a"]},
            ),
        )
        for name, answer in (("createRunFiles", "runID"), ("markRunFilesUploaded", "success"))
    },
    "deleteFiles": Row(mutate("deleteFiles", "DeleteFilesInput!", "success"), refused=lambda _: inputs({"files": []})),
    "createArtifact": Row(
        mutate("createArtifact", "CreateArtifactInput!", ARTIFACT),
        lambda _: inputs(describe(OWN, runName="trained"), describe(OWN)),
        lambda _: inputs(describe(OTHER), describe("new"), describe(OWN, runName="theirs")),
    ),
    **{
        name: Row(
            mutate(name, "JSON!", ARTIFACT),
            lambda place: inputs({"artifactID": place.artifact}),
            lambda place: inputs({"artifactID": place.foreign_artifact}),
        )
        for name in ("commitArtifact", "updateArtifact")
    },
    "createArtifactManifest": Row(
        mutate("createArtifactManifest", "CreateArtifactManifestInput!", "artifactManifest {id}"),
        lambda place: inputs(describe_manifest(place.artifact)),
        lambda place: inputs(
            describe_manifest(place.foreign_artifact),
            describe_manifest(place.artifact, baseArtifactID=place.foreign_artifact),
        ),
    ),
    "updateArtifactManifest": Row(
        mutate("updateArtifactManifest", "UpdateArtifactManifestInput!", "artifactManifest {id}"),
        lambda place: inputs({"artifactManifestID": place.manifest}),
        lambda place: inputs(
            {"artifactManifestID": place.foreign_manifest},
            {"artifactManifestID": place.manifest, "baseArtifactID": place.foreign_artifact},
        ),
    ),
    "completeMultipartUploadArtifact": Row(
        mutate("completeMultipartUploadArtifact", "CompleteMultipartUploadArtifactInput!", "digest"),
        refused=lambda place: inputs({**PARTS, "artifactID": place.foreign_artifact}),
    ),
    "notifyScriptableRunAlert": Row(
        mutate("notifyScriptableRunAlert", "NotifyScriptableRunAlertInput!", "success"),
        lambda _: inputs({"entityName": "local", "projectName": OWN, "runName": "trained", "title": "t", "text": "x"}),
        lambda _: inputs(
            {"entityName": "local", "projectName": OWN, "runName": "theirs", "title": "t", "text": "x"},
            {"entityName": "local", "projectName": OTHER, "runName": "fold", "title": "t", "text": "x"},
        ),
    ),
    "rewindRun": Row(
        mutate("rewindRun", "RewindRunInput!", "rewoundRun {id}"),
        refused=lambda _: inputs(
            {"projectName": OWN, "runName": "theirs", "metricName": "_step", "metricValue": 0.0},
            {"projectName": OTHER, "runName": "fold", "metricName": "_step", "metricValue": 0.0},
        ),
    ),
    **{
        name: Row(mutate(name, "JSON!", "__typename"), refused=refuse_always(given))
        for name, given in CLOSED_TO_WORKERS.items()
    },
    "users": Row("query Q {users {__typename}}"),
    "artifactCollection": Row(
        'query Q {artifactCollection(id: "QXJ0aWZhY3RDb2xsZWN0aW9uOjE=") {id}}', refused=lambda _: [{}]
    ),
    "createArtifactFiles": Row(
        mutate("createArtifactFiles", "CreateArtifactFilesInput!", "files {edges {node {id}}}"),
        lambda place: inputs({"artifactFiles": [{"artifactID": place.artifact, "name": "a", "md5": MD5}]}),
        lambda place: inputs(
            {
                "artifactFiles": [
                    {"artifactID": one, "name": "a", "md5": MD5} for one in (place.artifact, place.foreign_artifact)
                ]
            }
        ),
    ),
    "useArtifact": Row(
        mutate("useArtifact", "UseArtifactInput!", ARTIFACT),
        lambda place: inputs(
            {"artifactID": place.artifact, "entityName": "local", "projectName": OWN, "runName": "trained"}
        ),
        lambda place: inputs(
            {"artifactID": place.foreign_artifact, "entityName": "local", "projectName": OWN, "runName": "trained"},
            {"artifactID": place.artifact, "entityName": "local", "projectName": OTHER, "runName": "fold"},
        ),
    ),
    "deleteArtifact": Row(
        mutate("deleteArtifact", "DeleteArtifactInput!", ARTIFACT),
        refused=lambda place: inputs({"artifactID": place.artifact}),
    ),
    **{
        name: Row(
            mutate(name, kind, "success"),
            lambda place: inputs(
                {"artifactID": place.artifact, "aliases": [{"artifactCollectionName": "weights", "alias": "a"}]}
            ),
            lambda place: inputs(
                {
                    "artifactID": place.foreign_artifact,
                    "aliases": [{"artifactCollectionName": "weights", "alias": "a"}],
                },
                {
                    "artifactID": place.artifact,
                    "aliases": [{"artifactCollectionName": "weights", "alias": "a", "projectName": OTHER}],
                },
            ),
        )
        for name, kind in (("addAliases", "AddAliasesInput!"), ("deleteAliases", "DeleteAliasesInput!"))
    },
    "linkArtifact": Row(
        mutate("linkArtifact", "LinkArtifactInput!", "versionIndex"),
        lambda place: inputs(
            {"artifactID": place.whole_artifact, "artifactPortfolioName": "chosen"},
            {"artifactID": place.whole_artifact, "artifactPortfolioName": "chosen", "projectName": OWN},
            {"clientID": f"linked-{OWN}", "artifactPortfolioName": "chosen", "aliases": [{"alias": "good"}]},
        ),
        lambda place: inputs(
            {"artifactID": place.whole_artifact, "artifactPortfolioName": "n", "projectName": OTHER},
            {"artifactID": place.whole_artifact, "artifactPortfolioName": "n", "projectName": "new"},
            {"artifactID": place.whole_artifact, "artifactPortfolioName": "n", "projectName": OWN, "entityName": "you"},
            {"artifactID": place.whole_artifact, "artifactPortfolioID": place.foreign_portfolio},
            {"artifactID": place.foreign_artifact, "artifactPortfolioName": "n", "projectName": OWN},
            {"clientID": f"client-{OTHER}", "artifactPortfolioName": "n", "projectName": OWN},
        ),
    ),
}
