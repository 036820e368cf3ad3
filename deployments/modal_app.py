"""The app for ``modal deploy deployments/modal_app.py``; ``--launcher modal`` deploys it by itself."""

from multistage.launchers.modal.app import TRAINER_EXTRAS, build_app, describe_content

app = build_app(describe_content(TRAINER_EXTRAS))
