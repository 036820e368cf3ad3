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
