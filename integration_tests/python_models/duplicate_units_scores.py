def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("duplicate_units", dbt.config.meta_get("study"), dbt.ref("duplicate_units_units"), session)
