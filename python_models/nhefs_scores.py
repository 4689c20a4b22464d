def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("nhefs", dbt.config.meta_get("study"), dbt.ref("nhefs_units"), session)
