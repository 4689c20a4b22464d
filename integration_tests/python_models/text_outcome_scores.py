def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("text_outcome", dbt.config.meta_get("study"), dbt.ref("text_outcome_units"), session)
