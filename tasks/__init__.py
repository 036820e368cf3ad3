"""The steps of the flows; each opens what it needs, calls the library and returns a frozen model."""

if __name__ == "tasks":  # as deployments of the first release name it
    from multistage.pipeline import answer_to

    answer_to(__name__)
