"""The DAG: which task follows which."""

if __name__ == "flows":  # as deployments of the first release name it
    from multistage.pipeline import answer_to

    answer_to(__name__)
