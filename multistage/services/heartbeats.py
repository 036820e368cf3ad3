"""How a killed flow run is found: by the heartbeats that are missing.

A killed process tells nobody, and open-source Prefect would show its flow run as running for ever. An automation waits
for the heartbeats that every flow run emits, as https://docs.prefect.io/v3/advanced/detect-zombie-flows has it.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

AUTOMATION = "multistage-sweep: mark silently killed flow runs as crashed"
FLOWS = ("multistage-sweep", "single-sweep", "sweep-stage")
"""Names of the flows that are watched; a shared server's other flows are not."""
MISSED_HEARTBEATS = 3
"""So many heartbeats must be missing before a flow run counts as killed."""
DEFAULT_INTERVAL = 180
"""Seconds between two heartbeats where nothing is configured, as in Prefect."""


def watch_heartbeats(client: "SyncPrefectClient") -> None:
    """Make the automation that finds killed flow runs, where it is missing or another than it should be."""
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.settings import get_current_settings

    interval = get_current_settings().flows.heartbeat_frequency or DEFAULT_INTERVAL
    silence = MISSED_HEARTBEATS * interval
    wanted = AutomationCore(
        name=AUTOMATION,
        description="Registered by `multistage-sweep up`.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={
                "prefect.flow-run.heartbeat",
                *(f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")),
            },
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"Its process was not heard from for {silence} s. `multistage-sweep resume NAME` continues it.",
            )
        ],
    )
    found = client.read_automations_by_name(AUTOMATION)
    own = {"trigger": {"id"}}
    if not found:
        client.create_automation(wanted)
    elif AutomationCore.model_validate(found[0].model_dump()).model_dump(exclude=own) != wanted.model_dump(exclude=own):
        client.update_automation(found[0].id, wanted)
