"""Who of the agents is there."""

import time

from multistage.wandb_server.store import Row, Store


class Presence:
    """When agents were last heard: kept in memory, written now and then; a heartbeat costs no write."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._unwritten: dict[int, int] = {}

    def note(self, agent_id: int) -> None:
        """Note an agent's heartbeat."""
        self._unwritten[agent_id] = time.time_ns() // 1000

    def recall(self, agent: Row) -> int:
        """When an agent was last heard, written or not."""
        written: int = agent["heartbeat_at"]
        return max(written, self._unwritten.get(agent["id"], 0))

    def flush(self) -> None:
        """Write what was noted."""
        noted, self._unwritten = self._unwritten, {}
        if noted:
            with self.store.transaction():
                for agent_id, moment in noted.items():
                    self.store.update("agents", agent_id, heartbeat_at=moment)
