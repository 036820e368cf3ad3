"""What W&B's client can do that the embedded server refuses, by name, and why. Everything else works."""

LAUNCH = "W&B Launch starts trainings from queues; here workers and agents start them"
PEOPLE = "the server belongs to one person: nobody is invited, and there is one key"
REGISTRY = "a registry belongs to an organization, and one person's server has none"
AUTOMATIONS = "automations act in W&B's own services"
REPORTS = "reports are pages of W&B's own application"
VERIFY = "`wandb verify` checks an installation of W&B's own server"

DOCUMENTS = {
    "CreateAutomation": AUTOMATIONS,
    "CreateDefaultResourceConfig": LAUNCH,
    "CreateGenericWebhookIntegration": AUTOMATIONS,
    "CreateInvite": PEOPLE,
    "CreateRegistryMembers": REGISTRY,
    "CreateRunQueue": LAUNCH,
    "CreateServiceAccount": PEOPLE,
    "CreateTeam": PEOPLE,
    "CreateUserFromAdmin": PEOPLE,
    "DeleteApiKey": PEOPLE,
    "DeleteAutomation": AUTOMATIONS,
    "DeleteFromRunQueue": LAUNCH,
    "DeleteInvite": PEOPLE,
    "DeleteRegistry": REGISTRY,
    "DeleteRegistryMembers": REGISTRY,
    "DeleteRunQueue": LAUNCH,
    "FetchAdvancedRegistryFeatures": REGISTRY,
    "FetchOrganization": REGISTRY,
    "FetchRegistries": REGISTRY,
    "FetchRegistry": REGISTRY,
    "GenerateApiKey": PEOPLE,
    "GetAutomationsLegacy": AUTOMATIONS,
    "GetDefaultResourceConfig": LAUNCH,
    "GetEntityAutomations": AUTOMATIONS,
    "GetEntityAutomationsLegacy": AUTOMATIONS,
    "GetOrgAutomations": AUTOMATIONS,
    "GetRunQueueItem": LAUNCH,
    "GetRunQueueItems": LAUNCH,
    "GetRunQueueMetadata": LAUNCH,
    "IntegrationsByEntity": AUTOMATIONS,
    "LaunchAgent": LAUNCH,
    "OrgFeatureFlags": REGISTRY,
    "Project": VERIFY,
    "ProjectRunQueues": LAUNCH,
    "ProjectViews": REPORTS,
    "RegistryCollections": REGISTRY,
    "RegistryTeamMembers": REGISTRY,
    "RegistryUserMembers": REGISTRY,
    "RegistryVersions": REGISTRY,
    "RenameRegistry": REGISTRY,
    "UpdateAutomation": AUTOMATIONS,
    "UpdateTeamRegistryRole": REGISTRY,
    "UpdateUserRegistryRole": REGISTRY,
    "UpsertRegistry": REGISTRY,
    "UpsertRunQueue": LAUNCH,
    "ackRunQueueItem": LAUNCH,
    "failRunQueueItem": LAUNCH,
    "fetchRunQueuesFromProject": LAUNCH,
    "popFromRunQueue": LAUNCH,
    "pushToRunQueueByName": LAUNCH,
    "updateLaunchAgent": LAUNCH,
    "updateRunQueueItemWarning": LAUNCH,
}
"""Operations of the client that name what the server does not have."""

COMPOSED = {
    "Run": "test_contract_runs.py",
    "RunFullHistory": "test_history.py",
    "Runs": "test_contract_api.py",
    "UpsertBucket": "test_contract_runs.py",
}
"""Operations that the client puts together as it runs, and the tests that ask them."""

NO_SERVER = "speaks to no server"
EXPORTS = "histories are exported to Parquet by W&B's own services; `scan_history` reads all of one"

METHODS = {
    "Api": {
        **dict.fromkeys(
            ["create_run_queue", "job", "list_jobs", "queued_run", "run_queue", "upsert_run_queue"], LAUNCH
        ),
        **dict.fromkeys(["automation", "automations", "create_automation", "delete_automation"], AUTOMATIONS),
        **dict.fromkeys(
            ["integrations", "slack_integrations", "webhook_integrations", "update_automation"], AUTOMATIONS
        ),
        **dict.fromkeys(["create_registry", "organization", "registries", "registry"], REGISTRY),
        "create_team": PEOPLE,
        "create_user": PEOPLE,
        "reports": REPORTS,
        "sync_tensorboard": NO_SERVER,
    },
    "Run": {"download_history_exports": EXPORTS, "snake_to_camel": NO_SERVER},
    "Sweep": {"snake_to_camel": NO_SERVER},
    "File": {"snake_to_camel": NO_SERVER},
    "Artifact": {},
    "ArtifactCollection": {},
}
"""Methods of the client's public API that no test calls."""

COMMANDS = {
    **dict.fromkeys(["launch", "launch-agent", "launch-sweep", "scheduler"], LAUNCH),
    **dict.fromkeys(["job create", "job describe", "job list"], LAUNCH),
    **dict.fromkeys(["docker", "docker-run", "local", "server start", "server stop"], NO_SERVER),
    **dict.fromkeys(["disabled", "enabled", "off", "offline", "on", "online", "status"], NO_SERVER),
    **dict.fromkeys(["artifact cache cleanup", "clean", "purge-cache"], NO_SERVER),
    **dict.fromkeys([f"leet {name}" for name in ("config", "inspect", "run", "symon")], NO_SERVER),
    **dict.fromkeys([f"beta leet {name}" for name in ("config", "inspect", "run", "symon")], NO_SERVER),
    **dict.fromkeys(["beta core start", "beta core stop"], NO_SERVER),
    "controller": "runs `wandb.controller()`, which a test runs",
    "projects": "fails in the client itself, whatever the server (0.31: it asks a paginator for its length)",
    "restore": "checks out a run's commit; its files come by `wandb pull`",
    "verify": VERIFY,
}
"""Commands of the client's command line that no test runs."""
