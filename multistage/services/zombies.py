"""An automation of the Prefect server that marks a flow run as crashed when its process has died without a word.

A killed process tells nobody, and open-source Prefect would show its flow run as running for ever. The automation
waits for the heartbeats that every flow run emits, as https://docs.prefect.io/v3/advanced/detect-zombie-flows has it.
"""

from datetime import timedelta

AUTOMATION = "multistage-sweep: mark silently killed flow runs as crashed"
FLOWS = ("multistage-sweep", "sweep-stage")
"""Names of the flows that are watched; a shared server's other flows are not."""
MISSED_HEARTBEATS = 3
"""So many heartbeats must be missing before a flow run counts as killed."""
DEFAULT_INTERVAL = 180
"""Seconds between two heartbeats where nothing is configured, as in Prefect."""


def watch_for_zombies(api_url: str) -> bool:
    """Register the automation, or bring it up to date.

    Args:
        api_url: The Prefect server.

    Returns:
        Whether anything was changed.
    """
    # Prefect takes seconds to import, and its services are started without it.
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

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
                message=f"Its process gave no sign of life for {silence} s. `multistage-sweep resume NAME` goes on.",
            )
        ],
    )
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        found = client.read_automations_by_name(AUTOMATION)
        if not found:
            client.create_automation(wanted)
        elif found[0].trigger != wanted.trigger or found[0].actions != wanted.actions or not found[0].enabled:
            client.update_automation(found[0].id, wanted)
        else:
            return False
    return True
