def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import score

    return score("healthcare", dbt.config.meta_get("study"), dbt.ref("healthcare_units"), session)
