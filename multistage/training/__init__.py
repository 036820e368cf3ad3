"""The bundled trainers: real trainings that a sweep can tune without a script of one's own.

``python -m multistage.training --config_id CartPole-v1:ppo`` trains once; under a W&B agent the sweep's
values apply.
"""
