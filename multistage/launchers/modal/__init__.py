"""Workers in containers on Modal. Containers import `multistage.launchers.modal.app`, so nothing stands here."""
