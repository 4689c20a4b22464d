def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("cohort", dbt.config.meta_get("study"), dbt.ref("cohort_units"), session)
