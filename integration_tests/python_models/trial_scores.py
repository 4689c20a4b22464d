def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("trial", dbt.config.meta_get("study"), dbt.ref("trial_units"), session)
